"""LightningDataModules: batches of pairs, clips and patches."""

from vocalsketch.datamodules.pairs import PairsDataModule
from vocalsketch.datamodules.retrieval import RetrievalDataModule

__all__ = ["PairsDataModule", "RetrievalDataModule"]
