from .contrastive import ContrastiveDataModule
from .pretraining import ClassificationDataModule, LanguageDataModule, UrbanSoundDataModule
from .retrieval import ImitationsDataModule, PairsDataModule, RetrievalDataModule

__all__ = [
    "ClassificationDataModule",
    "ContrastiveDataModule",
    "ImitationsDataModule",
    "LanguageDataModule",
    "PairsDataModule",
    "RetrievalDataModule",
    "UrbanSoundDataModule",
]
