"""A study in W&B, beside the runs that its trials make themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import wandb

from vocalsketch.callbacks import WandbTracker
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.sweep.definition import Definition


def track_unbegun(
    definition: Definition, folder: Path, trial: optuna.Trial, state: str, reason: str
) -> None:
    """Make the W&B run of a trial that ended before its training began, with the reason."""
    tracker = _tracker(
        definition,
        folder / "trials" / f"{trial.number:05d}_{state}",
        f"trial_{trial.number:05d}",
        "trial",
        {"trial": {"number": trial.number, "parameters": trial.params}},
    )
    if tracker is not None:
        summary = {"trial/state": state, "trial/reason": reason[:500]}
        tracker.safely(lambda: tracker.experiment.summary.update(summary))
        tracker.finish()


def track_summary(
    definition: Definition,
    folder: Path,
    summary: Mapping[str, Any],
    pictures: Mapping[str, Path],
    best_config: Path | None,
) -> Path | None:
    """Write the study's summary run; a later one goes on with the same run.

    Returns:
        The folder of the run where W&B is offline, else None.
    """
    tracker = _tracker(
        definition, folder / "summary", f"{definition.name} summary", "sweep", definition.to_dict()
    )
    if tracker is None:
        return None

    def log() -> None:
        images = {f"study/{name}": wandb.Image(str(path)) for name, path in pictures.items()}
        tracker.experiment.log(images)
        tracker.experiment.summary.update(dict(summary))

    tracker.safely(log)
    if best_config is not None:
        tracker.add_file(best_config, "config", f"{definition.name}-best")
    return tracker.finish()


def _tracker(
    definition: Definition, folder: Path, name: str, job_type: str, config: dict[str, Any]
) -> WandbTracker | None:
    if definition.tracker is None:
        return None
    settings = definition.tracker.get("init_args") or {}
    tracker = WandbTracker(
        project=settings.get("project", "vocalsketch"),
        name=name,
        group=definition.name,
        tags=list(settings.get("tags") or ()),
        job_type=job_type,
        save_dir=str(folder),
    )
    tracker.describe(
        name=name,
        run_id=RunFolder(folder).wandb_id(),
        job_type=job_type,
        tags=[f"corpus={definition.corpus}"],
        config=config,
    )
    return tracker
