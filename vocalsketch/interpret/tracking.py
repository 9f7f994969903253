"""The same figures, sounds and page as media of a W&B run."""

from collections.abc import Sequence
from pathlib import Path

import wandb

from vocalsketch.callbacks.wandb_tracker import WandbTracker
from vocalsketch.interpret.gallery import Written
from vocalsketch.interpret.pattern import Portrait


def track(portraits: Sequence[Portrait], written: Written, folder: Path) -> Path | None:
    """Log what was written; a failure is said once and stops nothing.

    Args:
        portraits: What was visualised.
        written: The files.
        folder: Where W&B keeps its own.

    Returns:
        The folder of an offline run, else None.
    """
    subjects = dict.fromkeys(portrait.subject for portrait in portraits)
    tracker = WandbTracker(
        name="visualize " + ", ".join(subject.name for subject in subjects),
        tags=list(dict.fromkeys(f"corpus={subject.corpus}" for subject in subjects)),
        job_type="visualize",
        save_dir=str(folder),
    )
    tracker.safely(lambda: tracker.experiment.log(_media(portraits, written)))
    return tracker.finish()


def _media(portraits: Sequence[Portrait], written: Written) -> dict[str, object]:
    media: dict[str, object] = {
        f"visualize/{path.stem}": wandb.Image(str(path)) for path in written.figures
    }
    sounds = wandb.Table(columns=["checkpoint", "pattern", "sound"])
    for path in written.sounds:
        sounds.add_data(path.parent.name, path.stem, wandb.Audio(str(path)))
    activations = wandb.Table(
        columns=["checkpoint", "part", "layer", "unit", "activation", "highest noise", "dead"]
    )
    for portrait in portraits:
        for each in portrait.patterns:
            row = (each.part, each.layer, each.unit, each.activation, float(each.noise.max()))
            activations.add_data(portrait.subject.name, *row, each.dead)
    page = wandb.Html(written.page.read_text(encoding="utf-8"), inject=False)
    return {
        **media,
        "visualize/sounds": sounds,
        "visualize/activations": activations,
        "visualize/page": page,
    }
