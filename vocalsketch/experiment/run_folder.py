"""The folder in which a run leaves everything it made, and going on with what is there."""

import itertools
import json
import os
import platform
import secrets
import shlex
import shutil
import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from vocalsketch.datamodules import RetrievalDataModule
from vocalsketch.datasets.splits import read_manifest
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.experiment.config import values_of
from vocalsketch.files import locked, made_alone, remove_leftovers, write_text
from vocalsketch.systems.checkpoints import write_checkpoint

PACKAGES = ("vocalsketch", "torch", "torchaudio", "pytorch-lightning", "librosa", "numpy", "wandb")
# tells the processes that Lightning starts for further devices which folder the first one chose
CHOSEN = "VOCALSKETCH_RUN_DIR"
LAST = "last"
SHOWN = 5  # changed keys of a config that are named
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

    def alone(self) -> AbstractContextManager[None]:
        """Keep other runs out of the folder; a StorageError says that there is one."""
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
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            for path in self.results():
                path.unlink()
        elif self.config.exists() and self.config.read_text(encoding="utf-8") != config:
            number = 1
            while (before := self.path / f"config_{number}.yaml").exists():
                number += 1
            self.config.replace(before)
        write_text(self.config, config)
        write_text(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")


def choose_run_folder(asked: str | None, name: str) -> RunFolder:
    """Return the folder asked for, else a new one, ``runs/<name>/<date-time>``, which is made."""
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


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints beside their target and renames them.

    Lightning writes them to the system's temporary folder and moves them, which across file
    systems is a copy: killed meanwhile, it leaves half a checkpoint in the whole one's place.

    Args:
        folder: Where the run's checkpoints lie; none is removed from elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder.resolve()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, whole or not at all."""
        write_checkpoint(Path(path), checkpoint)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint of this run that a better one has replaced.

        Which one that is stands in the checkpoint that a run goes on from, and whoever made that
        one may have written any path there.
        """
        if Path(path).resolve().parent == self._folder:
            Path(path).unlink(missing_ok=True)


def checkpoint_to_go_on_from(
    folder: RunFolder, asked: str | None, trainer: pl.Trainer
) -> Path | None:
    """Return the checkpoint that a fit goes on from; None where it begins.

    ``last`` begins a run that has no whole epoch yet, so that the same command begins a run and
    goes on with it.

    Raises:
        CheckpointError: There is no such checkpoint.
        ConfigError: The folder holds another run, and none was asked for.
    """
    holds_work = _holds_work(folder, trainer)
    if asked is None and (holds_work or any(folder.checkpoints.glob("*.ckpt"))):
        raise ConfigError(
            f"{folder.path} already holds a run: choose another --run_dir, or go on with it by "
            "--ckpt_path last."
        )
    if asked is None or (asked == LAST and not holds_work):
        return None
    return folder.checkpoint(asked)


def refuse_another_split(checkpoint: Path, data: pl.LightningDataModule, *, goes_on: bool) -> None:
    """Hold a split against the one kept with the run of a checkpoint.

    Where the training does not go on, the data may be of any corpus.

    Raises:
        CheckpointError: It is another of the same corpus: what trained would be tested.
    """
    kept = RunFolder(checkpoint.parent.parent).split
    if not isinstance(data, RetrievalDataModule) or not kept.is_file():
        return
    before, now = read_manifest(kept), data.split
    same = (before.corpus, before.sounds) == (now.corpus, now.sounds)
    if before.fingerprint != now.fingerprint and (goes_on or same):
        raise CheckpointError(
            f"{checkpoint} began with split {before.name!r} of {before.corpus} "
            f"({before.fingerprint}), but this is {now.name!r} of {now.corpus} "
            f"({now.fingerprint}), which may test what trained: give --data.init_args.split "
            f"{shlex.quote(str(kept))} and the same corpus, or begin a new run."
        )


def changes(folder: RunFolder, config: str) -> list[str]:
    """Return in words which keys of a run's config are not those that it began with."""
    if not folder.config.exists():
        return []
    texts = (folder.config.read_text(encoding="utf-8"), config)
    before, now = (
        {key: v for key, v in values_of(yaml.safe_load(text)) if not isinstance(v, dict | list)}
        for text in texts
    )
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    more = [f"and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
    return [f"{key} {before.get(key)!r} -> {now.get(key)!r}" for key in keys[:SHOWN]] + more


def _holds_work(folder: RunFolder, trainer: pl.Trainer) -> bool:
    """Whether there is more in a folder than what a run leaves that is killed in its first epoch.

    Such a run may have a best checkpoint, which is written before the epoch's last.
    """
    if folder.results() or (folder.checkpoints / f"{LAST}.ckpt").exists():
        return True
    keeps_last = any(
        isinstance(each, ModelCheckpoint) and LAST in (each.filename, each.save_last and LAST)
        for each in trainer.checkpoint_callbacks
    )
    return not keeps_last and any(folder.checkpoints.glob("*.ckpt"))
