"""LightningDataModules: batches of pairs, clips and patches."""

from vocalsketch.datamodules.classification import ClassificationDataModule
from vocalsketch.datamodules.imitations import ImitationsDataModule
from vocalsketch.datamodules.languages import LanguageDataModule
from vocalsketch.datamodules.pairs import PairsDataModule
from vocalsketch.datamodules.retrieval import RetrievalDataModule
from vocalsketch.datamodules.urban_sounds import UrbanSoundDataModule

__all__ = [
    "ClassificationDataModule",
    "ImitationsDataModule",
    "LanguageDataModule",
    "PairsDataModule",
    "RetrievalDataModule",
    "UrbanSoundDataModule",
]
