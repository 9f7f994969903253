from .classification import ClassificationDataModule
from .contrastive import ContrastiveDataModule
from .imitations import ImitationsDataModule
from .pairs import PairsDataModule
from .pretraining import LanguageDataModule, UrbanSoundDataModule
from .retrieval import RetrievalDataModule

__all__ = [
    "ClassificationDataModule",
    "ContrastiveDataModule",
    "ImitationsDataModule",
    "LanguageDataModule",
    "PairsDataModule",
    "RetrievalDataModule",
    "UrbanSoundDataModule",
]
