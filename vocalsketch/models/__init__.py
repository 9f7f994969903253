"""Networks: torch only, no training and no data."""

from vocalsketch.models.tower import ConvStage, MetricHead, Tower, TowerGeometry

__all__ = [
    "ConvStage",
    "MetricHead",
    "Tower",
    "TowerGeometry",
]
