from .classification import ClassificationTask
from .contrastive import ContrastiveTask
from .imisound import ImisoundTask
from .retrieval import RetrievalTask
from .siamese import SiameseTask
from .two_dft import TwoDFTTask

__all__ = [
    "ClassificationTask",
    "ContrastiveTask",
    "ImisoundTask",
    "RetrievalTask",
    "SiameseTask",
    "TwoDFTTask",
]
