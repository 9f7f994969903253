"""Ranks the test half by a system that needs no training, in a process of its own.

``python -m vocalsketch.paper.untrained FOLDER SYSTEM ROOT SPLIT ON_BAD_AUDIO [TEST_ROOT]``
"""

import sys
from pathlib import Path

import pytorch_lightning as pl

from vocalsketch.callbacks.results import ResultsWriter
from vocalsketch.datamodules import ImitationsDataModule
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.errors import VocalSketchError
from vocalsketch.experiment.quiet import without_noise
from vocalsketch.jobs.run import end_with_parent
from vocalsketch.systems import load_system
from vocalsketch.tasks import RetrievalTask


@without_noise()
def rank(
    folder: Path,
    name: str,
    root: str,
    split: str,
    on_bad_audio: OnBadAudio,
    test_root: str | None = None,
) -> None:
    """Rank a corpus's test half and write the results into a folder.

    Args:
        folder: Where to.
        name: Of the system (``systems.load_system``).
        root: The corpus.
        split: As of a data module.
        on_bad_audio: ``error`` or ``skip``.
        test_root: A second corpus, which only tests.

    Raises:
        VocalSketchError: Bad input, whatever it is.
    """
    system = load_system(name)
    data = ImitationsDataModule(
        root,
        imitation_front_end=system.front_ends["imitation"],
        recording_front_end=system.front_ends["recording"],
        split=split,
        on_bad_audio=on_bad_audio,
        test_root=test_root,
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[ResultsWriter(folder, name)],
    )
    trainer.test(RetrievalTask(system), data, verbose=False)


def main(arguments: list[str]) -> int:
    """Rank; return the exit status."""
    end_with_parent()
    folder, name, root, split, on_bad_audio, *test_root = arguments
    bad: OnBadAudio = "skip" if on_bad_audio == "skip" else "error"
    try:
        rank(Path(folder), name, root, split, bad, *test_root)
    except VocalSketchError as error:
        print(f"vocalsketch: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
