"""The same figures, sounds and page as media of a W&B run."""

from collections.abc import Sequence
from pathlib import Path

import wandb

from vocalsketch.callbacks.wandb_tracker import WandbTracker
from vocalsketch.interpret.figures import Column
from vocalsketch.interpret.gallery import Written


def track(columns: Sequence[Column], written: Written, folder: Path) -> Path | None:
    """Log what was written; a failure is said once and stops nothing.

    Args:
        columns: What was visualised.
        written: The files.
        folder: Where W&B keeps its own.

    Returns:
        The folder of an offline run, else None.
    """
    corpora = dict.fromkeys(column.subject.corpus for column in columns)
    tracker = WandbTracker(
        name="visualize " + ", ".join(column.subject.name for column in columns),
        tags=[f"corpus={corpus}" for corpus in corpora],
        job_type="visualize",
        save_dir=str(folder),
    )
    tracker.safely(lambda: tracker.experiment.log(_media(columns, written)))
    return tracker.finish()


def _media(columns: Sequence[Column], written: Written) -> dict[str, object]:
    media: dict[str, object] = {
        f"visualize/{path.stem}": wandb.Image(str(path)) for path in written.figures
    }
    sounds = wandb.Table(columns=["checkpoint", "pattern", "sound"])
    for path in written.sounds:
        sounds.add_data(path.parent.name, path.stem, wandb.Audio(str(path)))
    activations = wandb.Table(
        columns=["checkpoint", "part", "layer", "unit", "activation", "highest noise", "dead"]
    )
    for column in columns:
        for portrait in column.portraits:
            for each in portrait.patterns:
                row = (each.part, each.layer, each.unit, each.activation, float(each.noise.max()))
                activations.add_data(column.subject.name, *row, each.dead)
    page = wandb.Html(written.page.read_text(encoding="utf-8"), inject=False)
    return {
        **media,
        "visualize/sounds": sounds,
        "visualize/activations": activations,
        "visualize/page": page,
    }
