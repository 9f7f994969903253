"""Networks: torch only, no training and no data."""

from vocalsketch.models.metric_head import MetricHead
from vocalsketch.models.tower import ConvStage, Tower, TowerGeometry

__all__ = [
    "ConvStage",
    "MetricHead",
    "Tower",
    "TowerGeometry",
]
