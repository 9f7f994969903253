from .classification import ClassificationTask
from .imisound import ImisoundTask
from .retrieval import RetrievalTask
from .siamese import SiameseTask

__all__ = ["ClassificationTask", "ImisoundTask", "RetrievalTask", "SiameseTask"]
