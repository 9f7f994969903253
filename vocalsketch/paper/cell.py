"""One cell in a process of its own: an ordinary fit, resumed where it was interrupted.

``python -m vocalsketch.paper.cell RUN_DIR ARGUMENTS...`` takes what ``vocalsketch fit`` takes.
"""

import os
import sys
import threading
from pathlib import Path

from vocalsketch.errors import CheckpointError, VocalSketchError
from vocalsketch.experiment import run_experiment
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.systems.checkpoints import read_checkpoint


def run_cell(folder: RunFolder, arguments: list[str]) -> None:
    """Train and evaluate; go on from the last whole epoch where there is one.

    Raises:
        VocalSketchError: Bad input, whatever it is.
        KeyboardInterrupt: Ctrl-C ended the training.
    """
    try:
        read_checkpoint(folder.checkpoints / "last.ckpt")
    except CheckpointError:  # there is none, or it is damaged: nothing is lost by beginning anew
        folder.clear()
    arguments = [*arguments, "--run_dir", str(folder.path), "--ckpt_path", "last"]
    outcome = run_experiment("fit", arguments)
    if outcome.interrupted:
        raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Wait for the end of standard input, which the study's process holds open, and end."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def main(arguments: list[str]) -> int:
    """Run the cell; return the exit status."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        run_cell(RunFolder(Path(arguments[0])), arguments[1:])
    except VocalSketchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
