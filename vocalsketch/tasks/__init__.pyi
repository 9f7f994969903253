from .classification import ClassificationTask
from .contrastive import ContrastiveTask
from .imisound import ImisoundTask
from .retrieval import RetrievalTask
from .siamese import SiameseTask

__all__ = [
    "ClassificationTask",
    "ContrastiveTask",
    "ImisoundTask",
    "RetrievalTask",
    "SiameseTask",
]
