"""Everything that `vocalsketch visualize` writes: figures, sounds and the page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from vocalsketch.files import write_bytes, write_text
from vocalsketch.interpret.ascent import AscentSettings
from vocalsketch.interpret.figures import (
    NUMBERS,
    as_png,
    as_svg,
    gallery_figure,
    page,
    pattern_figure,
)
from vocalsketch.interpret.layers import PARTS
from vocalsketch.interpret.pattern import Pattern, Portrait, Sounds, sounds_of
from vocalsketch.retrieval.results import corpus_tag


@dataclass(frozen=True)
class Written:
    """What was written."""

    page: Path  # the page
    figures: tuple[Path, ...]  # PNG files
    sounds: tuple[Path, ...]  # wav files


def write_gallery(
    columns: Sequence[Sequence[Portrait]],
    out: Path,
    settings: AscentSettings,
    *,
    compared_with: str = "",
    seed: int = 0,
) -> Written:
    """Draw, sonify and write the patterns of one or two checkpoints.

    Args:
        columns: The portraits of each checkpoint, of the same layers and units.
        out: Folder; made where it is not there.
        settings: How the patterns were found, for the page.
        compared_with: The corpus of the clips that they were; empty if none.
        seed: Of the patterns, and of the phases of the sounds.
    """
    figures = tuple(_write_figures(columns, out))
    sounds: list[Path] = []
    shown = [portrait for of_layer in zip(*columns, strict=True) for portrait in of_layer]
    sections: list[tuple[Portrait, list[tuple[Pattern, bytes, Sounds | None]]]] = []
    total = sum(len(portrait.patterns) for portrait in shown)
    with tqdm(total=total, desc="sounds", unit="pattern") as bar:
        for portrait in shown:
            cards = []
            for pattern in portrait.patterns:
                heard = sounds_of(pattern, portrait.subject.device, seed)
                if heard:
                    sounds += _write_sounds(out / "sounds" / portrait.subject.name, pattern, heard)
                cards.append((pattern, as_png(pattern_figure(pattern)), heard))
                bar.update()
            sections.append((portrait, cards))
    subjects = [portraits[0].subject for portraits in columns]
    html = page(
        "patterns.html.j2",
        names=[subject.name for subject in subjects],
        corpora=list(dict.fromkeys(corpus_tag(subject.corpus) for subject in subjects)),
        compared_with=corpus_tag(compared_with) if compared_with else "",
        slope=subjects[0].slope,
        position=columns[0][0].layer.position,
        settings=settings,
        seed=seed,
        sections=sections,
    )
    write_text(out / "page.html", html)
    return Written(out / "page.html", figures, tuple(sounds))


def track(portraits: Sequence[Portrait], written: Written, folder: Path) -> None:
    """Log what was written as media of a W&B run; a failure is said once and stops nothing.

    Args:
        portraits: What was visualised.
        written: The files.
        folder: Where W&B keeps its own.
    """
    from vocalsketch.callbacks.wandb_tracker import WandbTracker  # which few ask for

    subjects = dict.fromkeys(portrait.subject for portrait in portraits)
    tracker = WandbTracker(
        name="visualize " + ", ".join(subject.name for subject in subjects),
        tags=list(dict.fromkeys(f"corpus={subject.corpus}" for subject in subjects)),
        job_type="visualize",
        save_dir=str(folder),
    )
    tracker.safely(lambda: tracker.experiment.log(_media(portraits, written)))
    tracker.finish()


def _media(portraits: Sequence[Portrait], written: Written) -> dict[str, object]:
    import wandb

    sounds = wandb.Table(columns=["checkpoint", "pattern", "sound"])
    for path in written.sounds:
        sounds.add_data(path.parent.name, path.stem, wandb.Audio(str(path)))
    activations = wandb.Table(
        columns=["checkpoint", "part", "layer", "unit", "activation", "highest noise", "dead"]
    )
    for portrait in portraits:
        name, layer = portrait.subject.name, portrait.layer
        for each in portrait.patterns:
            reached = each.activation, float(each.noise.max()), each.dead
            activations.add_data(name, layer.part, layer.name, each.unit, *reached)
    html = written.page.read_text(encoding="utf-8")
    return {
        **{f"visualize/{path.stem}": wandb.Image(str(path)) for path in written.figures},
        "visualize/sounds": sounds,
        "visualize/activations": activations,
        "visualize/page": wandb.Html(html, inject=False),
    }


def _write_figures(columns: Sequence[Sequence[Portrait]], out: Path) -> Iterator[Path]:
    """Write figure 7, 8 and 9, as far as there are patterns for them; yield the PNG files."""
    for part in PARTS:
        of_part = [[each for each in mine if each.layer.part == part] for mine in columns]
        if of_part[0]:
            figure = gallery_figure(of_part)
            stem = NUMBERS[part] + ("_pairs" if part == "pair" else f"_{part}_tower")
            write_text(out / f"{stem}.svg", as_svg(figure))
            write_bytes(out / f"{stem}.png", as_png(figure))
            yield out / f"{stem}.png"


def _write_sounds(folder: Path, pattern: Pattern, heard: Sounds) -> Iterator[Path]:
    layer = pattern.layer
    for side, data in zip(layer.sides, heard.files, strict=True):
        of_pair = f"_{side}" if layer.part == "pair" else ""
        name = f"{layer.part}_{layer.name}_{pattern.unit:03d}{of_pair}.wav"
        write_bytes(folder / name, data)
        yield folder / name
