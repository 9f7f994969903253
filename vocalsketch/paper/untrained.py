"""Ranks the test half by a system that needs no training, in a process of its own.

``python -m vocalsketch.paper.untrained FOLDER SYSTEM ROOT SPLIT ON_BAD_AUDIO``
"""

import sys
from pathlib import Path
from typing import cast

from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.errors import VocalSketchError
from vocalsketch.experiment.ranking import rank
from vocalsketch.jobs.run import end_with_parent
from vocalsketch.systems import load_system


def main(arguments: list[str]) -> int:
    """Rank; return the exit status."""
    end_with_parent()
    folder, name, root, split, on_bad_audio, *test_root = arguments
    bad = cast("OnBadAudio", on_bad_audio)
    try:
        rank(Path(folder), name, load_system(name), root, split, bad, *test_root)
    except VocalSketchError as error:
        print(f"vocalsketch: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
