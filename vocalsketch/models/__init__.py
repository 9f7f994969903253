"""Networks: torch only, no training and no data."""

from vocalsketch.models.geometry import ConvStage, TowerGeometry
from vocalsketch.models.metric_head import MetricHead
from vocalsketch.models.tower import Tower

__all__ = [
    "ConvStage",
    "MetricHead",
    "Tower",
    "TowerGeometry",
]
