"""One job in this process: a training that is begun, or gone on with.

``python -m vocalsketch.jobs.run FOLDER ARGUMENTS...`` takes the arguments of ``vocalsketch fit``.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytorch_lightning as pl

from vocalsketch.errors import VocalSketchError
from vocalsketch.experiment import Outcome, run_experiment
from vocalsketch.jobs.job import ERROR
from vocalsketch.jobs.pool import INTERRUPTED


def train(folder: Path, arguments: Sequence[str], callbacks: Sequence[pl.Callback] = ()) -> Outcome:
    """Train on one device and evaluate; go on from the last whole epoch where there is one."""
    options = ["--run_dir", str(folder), "--ckpt_path", "last", "--trainer.devices=1"]
    return run_experiment("fit", [*arguments, *options], callbacks)


def as_process(work: Callable[[], object]) -> int:
    """Do the work of a job's process, and say what is wrong with it; return the exit status."""
    end_with_parent()
    try:
        work()
    except VocalSketchError as error:
        print(f"{ERROR}{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone.

    It holds this one's standard input open; what is interrupted so can be gone on with.
    """

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(folder: str, *arguments: str) -> None:
    """Train, as the pool starts it."""
    train(Path(folder), arguments)


if __name__ == "__main__":
    sys.exit(as_process(lambda: main(*sys.argv[1:])))
