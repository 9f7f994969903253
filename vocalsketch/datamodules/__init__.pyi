from .contrastive import ContrastiveDataModule
from .pairs import ImitationsDataModule, PairsDataModule
from .pretraining import ClassificationDataModule, LanguageDataModule, UrbanSoundDataModule
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
