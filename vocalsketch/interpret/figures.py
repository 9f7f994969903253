"""Figures 7, 8 and 9 and pages: spectrograms drawn, sounds and pictures that need no file."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vocalsketch.features.front_end import FrontEnd
from vocalsketch.files import write_bytes, write_text
from vocalsketch.interpret.ascent import AscentSettings, Pattern, Portrait, Sounds, sounds_of
from vocalsketch.interpret.layers import Part
from vocalsketch.interpret.subject import Subject
from vocalsketch.retrieval.results import corpus_tag

INK = "#24292e"
RESOLUTION = 110  # dots per inch of a PNG
TICKS = 5  # of frequency, at most
ROUND_HERTZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
STYLE: Any = {  # matplotlib types its keys one by one
    "svg.hashsalt": "vocalsketch",  # the same figure, the same file
    "svg.fonttype": "none",
    "font.size": 8,
    **dict.fromkeys(INKED, INK),
}
UNITS_SHOWN = 4  # of each layer in a figure, as in the paper; the page shows all
STEMS: dict[Part, str] = {
    "imitation": "figure7_imitation_tower",
    "recording": "figure8_recording_tower",
    "pair": "figure9_pairs",
}


def draw_spectrogram(axes: Axes, values: Tensor, front_end: FrontEnd, **style: Any) -> None:
    """Draw values (bins, frames), whiter for more, over seconds and hertz."""
    picture = values.numpy()
    bins, frames = picture.shape
    if "vmin" not in style:
        low, high = np.percentile(picture, (0.5, 99.5))
        style = {"vmin": low, "vmax": high if high > low else low + 1, "cmap": "gray"}
    end = frames * front_end.hop / front_end.sample_rate
    axes.imshow(
        picture,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, end, -0.5, bins - 0.5),
        **style,
    )
    centres = front_end.frequencies()
    if centres is not None:
        ticks = _frequency_ticks(centres)
        axes.set_yticks(list(ticks.values()), [f"{hertz:,}" for hertz in ticks])
    axes.set(xlabel="s", ylabel="bin" if centres is None else "Hz")
    if front_end.timeless:
        axes.set(xlabel="", xticks=[])
    if sizes := list(front_end.families.values()):
        ends = np.cumsum(sizes)
        axes.set_yticks(ends - np.array(sizes) / 2 - 0.5, list(front_end.families))
        axes.hlines(ends[:-1] - 0.5, 0, end, INK, lw=0.5)
        axes.set(ylabel="")


def _frequency_ticks(centres: NDArray[np.float64]) -> dict[int, float]:
    """Return round frequencies, Hz, and their places in bins, none too close to the next."""
    bins = len(centres)
    ticks: dict[int, float] = {}
    for hertz in ROUND_HERTZ:
        place = float(np.interp(hertz, centres, np.arange(bins)))
        inside = centres[0] <= hertz <= centres[-1]
        if inside and place - max(ticks.values(), default=-bins) >= bins / TICKS:
            ticks[hertz] = place
    return ticks


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG on white."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=RESOLUTION, facecolor="white")
    return target.getvalue()


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG document, the same each time."""
    target = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(target, format="svg", facecolor="white", metadata={"Date": None})
    return target.getvalue()


def page(template: str, **values: object) -> str:
    """Return an HTML page that needs no other file: pictures and sounds stand in it as base64."""
    environment = Environment(
        loader=PackageLoader("vocalsketch.interpret", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template(template).render(values)


def write_gallery(
    columns: Sequence[Sequence[Portrait]],
    out: Path,
    settings: AscentSettings,
    *,
    compared_with: str = "",
    seed: int = 0,
) -> list[Path]:
    """Draw, sonify and write the patterns of one or two checkpoints; return the figures (PNG).

    Args:
        columns: The portraits of each checkpoint, of the same layers and units.
        out: Folder; made where it is not there. The page in it is ``page.html``.
        settings: How the patterns were found, for the page.
        compared_with: The corpus of the clips that they were; empty if none.
        seed: Of the patterns, and of the phases of the sounds.
    """
    shown = [portrait for of_layer in zip(*columns, strict=True) for portrait in of_layer]
    sections: list[tuple[Portrait, list[tuple[Pattern, bytes, Sounds | None]]]] = []
    with tqdm(
        total=sum(len(each.patterns) for each in shown), desc="sounds", unit="pattern"
    ) as bar:
        for portrait in shown:
            cards = []
            for pattern in portrait.patterns:
                heard = sounds_of(pattern, portrait.subject.device, seed)
                if heard:
                    _write_sounds(out / "sounds" / portrait.subject.name, pattern, heard)
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
    return list(_write_figures(columns, out))


def track(subjects: Sequence[Subject], figures: Sequence[Path], folder: Path) -> None:
    """Log figures and the folder's page to W&B; a failure is said once and stops nothing."""
    import wandb  # which few ask for

    from vocalsketch.callbacks.wandb_tracker import WandbTracker

    tracker = WandbTracker(
        name="visualize " + ", ".join(subject.name for subject in subjects),
        tags=list(dict.fromkeys(f"corpus={subject.corpus}" for subject in subjects)),
        job_type="visualize",
        save_dir=str(folder),
    )
    html = (folder / "page.html").read_text(encoding="utf-8")
    media: dict[str, object] = {f"visualize/{p.stem}": wandb.Image(str(p)) for p in figures}
    media["visualize/page"] = wandb.Html(html, inject=False)
    tracker.safely(lambda: tracker.experiment.log(media))
    tracker.finish()


def _write_figures(columns: Sequence[Sequence[Portrait]], out: Path) -> Iterator[Path]:
    """Write figure 7, 8 and 9, as far as there are patterns for them; yield the PNG files."""
    for part, stem in STEMS.items():
        of_part = [[each for each in mine if each.layer.part == part] for mine in columns]
        if of_part[0]:
            figure = gallery_figure(of_part)
            write_text(out / f"{stem}.svg", as_svg(figure))
            write_bytes(out / f"{stem}.png", as_png(figure))
            yield out / f"{stem}.png"


def _write_sounds(folder: Path, pattern: Pattern, heard: Sounds) -> None:
    layer = pattern.layer
    for side, data in zip(layer.sides, heard.files, strict=True):
        of_pair = f"_{side}" if layer.part == "pair" else ""
        name = f"{layer.part}_{layer.name}_{pattern.unit:03d}{of_pair}.wav"
        write_bytes(folder / name, data)


def gallery_figure(columns: Sequence[Sequence[Portrait]]) -> Figure:
    """Draw the patterns that see one part: figure 7, 8 or 9; checkpoints stand side by side.

    Args:
        columns: Of one or two checkpoints the portraits of the layers that see the part, the same
            layers and units of each.
    """
    pairs = columns[0][0].layer.part == "pair"  # of which a unit is a row, else a layer
    grids = [[portrait.patterns[:UNITS_SHOWN] for portrait in column] for column in columns]
    if pairs:
        grids = [[[pattern] for patterns in grid for pattern in patterns] for grid in grids]
    rows, across = len(grids[0]), 2 if pairs else max(map(len, grids[0]))
    with mpl.rc_context(STYLE):
        size = (0.3 + 2.1 * across * len(columns), 0.5 + 1.85 * rows)
        figure = Figure(figsize=size, layout="constrained")
        places = figure.subfigures(1, len(columns), wspace=0.04, squeeze=False)[0]
        for place, portraits, grid in zip(places, columns, grids, strict=True):
            subject = portraits[0].subject
            place.suptitle(f"{subject.name} (corpus={subject.corpus})", fontsize=9)
            axes = place.subplots(rows, across, squeeze=False)
            for free, patterns in zip(map(iter, axes), grid, strict=True):
                for pattern in patterns:
                    _draw_pattern(free, pattern)
                for empty in free:
                    empty.set_axis_off()
    return figure


def pattern_figure(pattern: Pattern) -> Figure:
    """Draw one pattern, one picture for each input, and the curve of its ascent."""
    front_ends, sides = pattern.layer.front_ends, pattern.layer.sides
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.9 * len(sides) + 2.2, 2.1), layout="constrained")
        widths = [2.9] * len(sides) + [2.2]
        *axes, last = figure.subplots(1, len(widths), width_ratios=widths)
        inputs = zip(axes, pattern.spectrograms, front_ends, sides, strict=True)
        for each, spectrogram, front_end, side in inputs:
            draw_spectrogram(each, spectrogram, front_end)
            each.set_title(side)
        last.plot(np.arange(1, len(pattern.curve) + 1), pattern.curve, color="#2c6cb0", lw=1)
        last.set(xlabel="step", title="activation (leaky)")
        last.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_pattern(places: Iterator[Axes], pattern: Pattern) -> None:
    """Draw a pattern; labels stand at the grid's edge, hertz at both sides of a pair."""
    layer = pattern.layer
    inputs = zip(pattern.spectrograms, layer.front_ends, layer.sides, places, strict=False)
    for spectrogram, front_end, side, axes in inputs:
        draw_spectrogram(axes, spectrogram, front_end)
        of_pair = f", {side}" if layer.part == "pair" else ""
        axes.set_title(f"{layer.name}, unit {pattern.unit}{of_pair}", fontsize=8)
        grid = axes.get_subplotspec()
        if not of_pair:
            axes.label_outer()
        elif grid is not None and not grid.is_last_row():
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
        if pattern.dead:
            axes.text(0.5, 0.5, "dead", transform=axes.transAxes, ha="center", color="#d1242f")
