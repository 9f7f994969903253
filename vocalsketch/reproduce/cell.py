"""One cell in a process of its own: an ordinary fit, resumed where it was interrupted.

``python -m vocalsketch.reproduce.cell RUN_DIR ARGUMENTS...`` takes what ``vocalsketch fit`` takes.
"""

import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from vocalsketch.errors import CheckpointError, VocalSketchError
from vocalsketch.experiment import run_experiment
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.tasks.checkpoints import read_checkpoint


def run_cell(folder: RunFolder, arguments: list[str]) -> None:
    """Train and evaluate; go on from the last whole epoch where there is one.

    A run that ended between its training and its evaluation is evaluated only: training that
    stopped early would else go on for another epoch.

    Raises:
        VocalSketchError: Bad input, whatever it is.
        KeyboardInterrupt: Ctrl-C ended the training.
    """
    arguments = [*arguments, "--run_dir", str(folder.path)]
    last = _last_checkpoint(folder)
    if last is None:
        _clear(folder)
        outcome = run_experiment("fit", arguments)
    elif _stopped_early(last):
        for half in ("validate", "test"):
            outcome = run_experiment(half, [*arguments, "--ckpt_path", "best"])
    else:
        outcome = run_experiment("fit", [*arguments, "--ckpt_path", "last"])
    if outcome.interrupted:
        raise KeyboardInterrupt


def _last_checkpoint(folder: RunFolder) -> dict[str, Any] | None:
    """Return the checkpoint of the last whole epoch; None where there is none or it is damaged."""
    try:
        return read_checkpoint(folder.checkpoints / "last.ckpt")
    except CheckpointError:
        return None


def _stopped_early(checkpoint: dict[str, Any]) -> bool:
    return any(
        bool(state.get("stopped_epoch"))
        for name, state in checkpoint.get("callbacks", {}).items()
        if name.startswith("EarlyStopping")
    )


def _clear(folder: RunFolder) -> None:
    """Remove what a run left that did not come to the end of its first epoch."""
    folder.config.unlink(missing_ok=True)
    shutil.rmtree(folder.checkpoints, ignore_errors=True)


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
