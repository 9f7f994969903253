"""The folder in which a run leaves everything it made."""

import json
import os
import platform
import secrets
import subprocess
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.storage import write_text

PACKAGES = ("vocalsketch", "torch", "torchaudio", "pytorch-lightning", "librosa", "numpy", "wandb")
# tells the processes that Lightning starts for further devices which folder the first one chose
CHOSEN = "VOCALSKETCH_RUN_DIR"


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
    def environment(self) -> Path:
        """Git revision, package versions and machine."""
        return self.path / "environment.json"

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

    def begin(self, config: str, resume: bool) -> None:
        """Write down config and environment at the start of training.

        Raises:
            ConfigError: The folder holds another run, and this is no resumption.
        """
        if self.config.exists() and not resume:
            raise ConfigError(
                f"{self.path} already holds a run: choose another --run_dir, or go on with it by "
                "--ckpt_path last."
            )
        write_text(self.config, config)
        write_text(self.environment, json.dumps(environment(), indent=2) + "\n")


def choose_run_folder(asked: str | None, name: str) -> RunFolder:
    """Return the folder asked for, else a new one, ``runs/<name>/<date-time>``."""
    if asked:
        return RunFolder(Path(asked))
    if CHOSEN not in os.environ:
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        folder, number = Path("runs") / name / stamp, 1
        while folder.exists():
            number += 1
            folder = Path("runs") / name / f"{stamp}-{number}"
        return RunFolder(folder)
    return RunFolder(Path(os.environ[CHOSEN]))


def environment() -> dict[str, object]:
    """Return what a result depends on beside config and data."""
    return {
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


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
