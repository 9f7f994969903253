"""The folder in which a run leaves everything it made."""

import itertools
import json
import os
import platform
import secrets
import shutil
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from vocalsketch.errors import CheckpointError
from vocalsketch.files import locked, made_alone, remove_leftovers, write_text

PACKAGES = ("vocalsketch", "torch", "torchaudio", "pytorch-lightning", "librosa", "numpy", "wandb")
# tells the processes that Lightning starts for further devices which folder the first one chose
CHOSEN = "VOCALSKETCH_RUN_DIR"
FAREWELL = 10.0  # seconds in which the processes of a killed run notice and end


@dataclass(frozen=True)
class RunFolder:
    """Paths within one run's folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def split(self) -> Path:
        """The manifest of the split."""
        return self.path / "split.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def checkpoint(self, name: str) -> Path:
        """Return the path of a checkpoint given by path or as ``best`` or ``last`` of this run.

        Raises:
            CheckpointError: There is none.
        """
        path = self.checkpoints / f"{name}.ckpt" if name in ("best", "last") else Path(name)
        if not path.is_file():
            found = ", ".join(sorted(each.name for each in self.checkpoints.glob("*.ckpt")))
            raise CheckpointError(
                f"No checkpoint at {path} (in {self.checkpoints}: {found or 'none'}): give the "
                "path of one, or --run_dir of a run that has it."
            )
        return path

    def wandb_id(self) -> str:
        """Return the run's W&B id, drawn once and kept, so that a resumed run goes on as itself."""
        path = self.path / "wandb_id"
        if not path.exists():
            write_text(path, secrets.token_hex(4))
        return path.read_text()

    def results(self) -> list[Path]:
        """Return what says that a part of the data has been evaluated."""
        return [*self.path.glob("results*.json"), *self.path.glob("accuracy_*.json")]

    def clear(self) -> None:
        """Remove what a training left, so that it may begin anew."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        for path in self.results():
            path.unlink()

    def alone(self) -> AbstractContextManager[None]:
        """Keep other runs out of the folder.

        Raises:
            StorageError: There is one, also after some seconds.
        """
        busy = (
            f"Another process is at work in {self.path}: wait until it is done, or choose another "
            "--run_dir."
        )
        return locked(self.path / ".lock", busy, wait=FAREWELL)

    def begin(self, config: str, resume: bool) -> None:
        """Write down config and environment at the start of training.

        What a killed run left half done is removed. The config that a resumed run had before is
        kept as ``config_1.yaml``, ``config_2.yaml``, ... where it is another.
        """
        remove_leftovers(self.path)
        remove_leftovers(self.checkpoints)
        if not resume:
            self.clear()
        elif self.config.exists() and self.config.read_text(encoding="utf-8") != config:
            number = 1
            while (before := self.path / f"config_{number}.yaml").exists():
                number += 1
            self.config.replace(before)
        write_text(self.config, config)
        write_text(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")


def choose_run_folder(asked: str | None, name: str) -> RunFolder:
    """Return the folder asked for, else a new one, ``runs/<name>/<date-time>``, which is made.

    Raises:
        StorageError: It cannot be made.
    """
    if asked:
        return RunFolder(Path(asked))
    if CHOSEN in os.environ:
        return RunFolder(Path(os.environ[CHOSEN]))
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    for suffix in itertools.chain([""], (f"-{number}" for number in itertools.count(2))):
        folder = Path("runs") / name / f"{stamp}{suffix}"
        if made_alone(folder):
            return RunFolder(folder)
    raise AssertionError("numbers do not end")


def environment() -> dict[str, object]:
    """Return what a result depends on beside config and data."""
    return {
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _git_revision() -> str | None:
    """Return the revision of the source tree, marked ``-dirty`` where files were changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
