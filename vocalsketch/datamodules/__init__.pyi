from .classification import ClassificationDataModule
from .contrastive import ContrastiveDataModule
from .imitations import ImitationsDataModule
from .languages import LanguageDataModule
from .pairs import PairsDataModule
from .retrieval import RetrievalDataModule
from .urban_sounds import UrbanSoundDataModule

__all__ = [
    "ClassificationDataModule",
    "ContrastiveDataModule",
    "ImitationsDataModule",
    "LanguageDataModule",
    "PairsDataModule",
    "RetrievalDataModule",
    "UrbanSoundDataModule",
]
