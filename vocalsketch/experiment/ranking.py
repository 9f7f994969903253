"""Ranks a half by a system as it is."""

from pathlib import Path

import pytorch_lightning as pl

from vocalsketch.callbacks.results import ResultsWriter
from vocalsketch.datamodules import ImitationsDataModule
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.domain import Half
from vocalsketch.experiment.refusals import without_noise
from vocalsketch.retrieval.results import Results
from vocalsketch.systems import System
from vocalsketch.tasks import RetrievalTask


@without_noise()
def rank(
    folder: Path,
    name: str,
    system: System,
    root: str,
    split: str,
    on_bad_audio: OnBadAudio,
    test_root: str | None = None,
    *,
    half: Half = "test",
) -> Results:
    """Rank a half of a corpus, write the results into a folder and return them.

    The system stands in them under ``name``; ``root``, ``split``, ``on_bad_audio`` and
    ``test_root`` are as of a data module.

    Raises:
        VocalSketchError: Bad input, whatever it is.
    """
    data = ImitationsDataModule(
        root,
        imitation_front_end=system.front_ends["imitation"],
        recording_front_end=system.front_ends["recording"],
        split=split,
        on_bad_audio=on_bad_audio,
        test_root=test_root,
    )
    writer = ResultsWriter(folder, name)
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[writer],
    )
    evaluate = trainer.test if half == "test" else trainer.validate
    evaluate(RetrievalTask(system), data, verbose=False)
    return writer.written[half]
