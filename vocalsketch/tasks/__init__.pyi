from .classification import ClassificationTask
from .contrastive import ContrastiveTask
from .imisound import ImisoundTask
from .retrieval import RetrievalTask, TwoDFTTask
from .siamese import SiameseTask

__all__ = [
    "ClassificationTask",
    "ContrastiveTask",
    "ImisoundTask",
    "RetrievalTask",
    "SiameseTask",
    "TwoDFTTask",
]
