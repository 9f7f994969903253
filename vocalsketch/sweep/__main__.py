"""Entry of a worker process; `vocalsketch sweep run` starts it."""

import argparse
import os
import sys
from pathlib import Path

from vocalsketch.errors import VocalSketchError
from vocalsketch.sweep.launcher import STORAGE_VARIABLE
from vocalsketch.sweep.worker import work


def main() -> int:
    """Run one worker; return 0 when the study is complete, 1 on an error, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m vocalsketch.sweep", description=__doc__)
    parser.add_argument("--study", required=True, help="name of the study")
    parser.add_argument("--folder", type=Path, required=True, help="the study's folder")
    parser.add_argument("--trials", type=int, required=True, help="how many are to finish")
    arguments = parser.parse_args()
    try:
        complete = work(
            os.environ[STORAGE_VARIABLE], arguments.study, arguments.folder, arguments.trials
        )
    except VocalSketchError as error:
        print(f"vocalsketch: error: {error}", file=sys.stderr)
        return 1
    return 0 if complete else 130


if __name__ == "__main__":
    sys.exit(main())
