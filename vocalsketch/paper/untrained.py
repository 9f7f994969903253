"""Ranks the test half by a system that needs no training, in a process of its own.

``python -m vocalsketch.paper.untrained FOLDER SYSTEM ROOT SPLIT ON_BAD_AUDIO``
"""

import sys
from pathlib import Path

from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.experiment.ranking import rank
from vocalsketch.jobs.run import as_process
from vocalsketch.systems import load_system


def main(folder: str, name: str, root: str, split: str, bad: OnBadAudio, *more: str) -> None:
    """Rank; ``more`` is the root of a second corpus, which only tests, if there is one."""
    rank(Path(folder), name, load_system(name), root, split, bad, *more)


if __name__ == "__main__":
    sys.exit(as_process(lambda: main(*sys.argv[1:])))  # type: ignore[arg-type]  # plan.py's
