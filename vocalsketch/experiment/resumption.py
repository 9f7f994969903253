"""Going on with a run that was interrupted, killed or ended before its evaluation."""

import shlex
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from vocalsketch.datamodules import RetrievalDataModule
from vocalsketch.datasets.splits import read_manifest
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.experiment.config import values_of
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.systems.checkpoints import write_checkpoint

LAST = "last"
SHOWN = 5  # changed keys of a config that are named


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
        """Write a checkpoint, whole or not at all.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
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


def stopped_early(checkpoint: dict[str, Any], trainer: pl.Trainer) -> bool:
    """Whether early stopping had ended the training, whose patience is still the same.

    Lightning would train for another epoch.
    """
    patience = {each.state_key: each.patience for each in trainer.early_stopping_callbacks}
    return any(
        bool(state["stopped_epoch"]) and state["patience"] == patience.get(name)
        for name, state in checkpoint.get("callbacks", {}).items()
        if name.startswith(EarlyStopping.__name__)
    )


def best_of(checkpoint: dict[str, Any], folder: RunFolder) -> Path | None:
    """Return the best checkpoint at the time of a checkpoint, by the first monitored callback."""
    for name, state in checkpoint.get("callbacks", {}).items():
        if name.startswith(ModelCheckpoint.__name__) and state["monitor"]:
            best = folder.checkpoints / Path(state["best_model_path"]).name
            return best if best.is_file() else None
    return None


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
