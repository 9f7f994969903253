"""Figures 7, 8 and 9 of the paper, and a picture of each pattern."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.layers import Part
from vocalsketch.interpret.pattern import Pattern, Portrait
from vocalsketch.interpret.subject import Subject, sides_of

INK = "#24292e"
RESOLUTION = 110  # dots per inch of a PNG
UNITS_SHOWN = 4  # of each layer in a figure, as in the paper; the page shows all
NUMBERS: dict[Part, str] = {"imitation": "figure7", "recording": "figure8", "pair": "figure9"}
TICKS = 5  # of frequency, at most
ROUND_HERTZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
STYLE: Any = {  # matplotlib types its keys one by one
    "svg.hashsalt": "vocalsketch",  # the same figure, the same file
    "svg.fonttype": "none",
    "font.size": 8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, eq=False)
class Column:
    """What one checkpoint contributes to a figure."""

    subject: Subject
    portraits: Sequence[Portrait]


def gallery_figure(columns: Sequence[Column], part: Part) -> Figure:
    """Draw the patterns that see one part: figure 7, 8 or 9; checkpoints stand side by side.

    Args:
        columns: One or two checkpoints with the layers that see ``part``, the same of each.
        part: Imitation tower, recording tower or pairs.
    """
    rows, across = _extent(columns[0], part)
    with mpl.rc_context(STYLE):
        size = (0.3 + 2.1 * across * len(columns), 0.5 + 1.85 * rows)
        figure = Figure(figsize=size, layout="constrained")
        places = figure.subfigures(1, len(columns), wspace=0.04, squeeze=False)[0]
        for place, column in zip(places, columns, strict=True):
            _draw_column(place, column, part, (rows, across))
    return figure


def pattern_figure(subject: Subject, portrait: Portrait, pattern: Pattern) -> Figure:
    """Draw one pattern, one picture for each input, and the curve of its ascent."""
    front_ends = subject.inputs_of(portrait.layer)
    with mpl.rc_context(STYLE):
        pictures = len(front_ends)
        figure = Figure(figsize=(2.9 * pictures + 2.2, 2.1), layout="constrained")
        axes = figure.subplots(1, pictures + 1, width_ratios=[2.9] * pictures + [2.2])
        for each, spectrogram, front_end, name in zip(
            axes, pattern.spectrograms, front_ends, sides_of(pattern.part), strict=False
        ):
            draw_spectrogram(each, spectrogram, front_end)
            each.set_title(name)
        axes[-1].plot(np.arange(1, len(pattern.curve) + 1), pattern.curve, color="#2c6cb0", lw=1)
        axes[-1].set_xlabel("step")
        axes[-1].set_title("activation (leaky)")
        axes[-1].spines[["top", "right"]].set_visible(False)
    return figure


def draw_spectrogram(axes: Axes, values: Tensor, front_end: FrontEnd, **style: Any) -> None:
    """Draw values (bins, frames), whiter for more, over seconds and hertz."""
    picture = values.numpy()
    bins, frames = picture.shape
    if "vmin" not in style:
        low, high = np.percentile(picture, (0.5, 99.5))
        style = {"vmin": low, "vmax": high if high > low else low + 1, "cmap": "gray", **style}
    axes.imshow(
        picture,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, frames * front_end.hop / front_end.sample_rate, -0.5, bins - 0.5),
        **style,
    )
    centres = front_end.frequencies()
    if centres is not None:
        ticks = _frequency_ticks(centres)
        axes.set_yticks(list(ticks.values()), [f"{hertz:,}" for hertz in ticks])
    axes.set_xlabel("s")
    axes.set_ylabel("bin" if centres is None else "Hz")


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


def _extent(column: Column, part: Part) -> tuple[int, int]:
    """Return rows and pictures across: a layer a row; of pairs a unit a row."""
    counts = [min(len(portrait.patterns), UNITS_SHOWN) for portrait in column.portraits]
    return (sum(counts), 2) if part == "pair" else (len(counts), max(counts))


def _draw_column(place: SubFigure, column: Column, part: Part, extent: tuple[int, int]) -> None:
    subject = column.subject
    place.suptitle(f"{subject.name} (corpus={subject.corpus})", fontsize=9)
    grid = place.subplots(*extent, squeeze=False)
    shown = [
        (portrait, pattern)
        for portrait in column.portraits
        for pattern in portrait.patterns[:UNITS_SHOWN]
    ]
    if part == "pair":
        for row, (portrait, pattern) in zip(grid, shown, strict=True):
            _draw_pattern(list(row), subject, portrait, pattern)
        return
    for row, portrait in zip(grid, column.portraits, strict=True):
        for axes in row[len(portrait.patterns) :]:
            axes.set_axis_off()
        for axes, pattern in zip(row, portrait.patterns, strict=False):
            _draw_pattern([axes], subject, portrait, pattern)


def _draw_pattern(
    places: Sequence[Axes], subject: Subject, portrait: Portrait, pattern: Pattern
) -> None:
    front_ends = subject.inputs_of(portrait.layer)
    for axes, spectrogram, front_end, name in zip(
        places, pattern.spectrograms, front_ends, sides_of(pattern.part), strict=True
    ):
        draw_spectrogram(axes, spectrogram, front_end)
        side = f", {name}" if pattern.part == "pair" else ""
        axes.set_title(f"{pattern.layer}, unit {pattern.unit}{side}", fontsize=8)
        _label(axes, shared=pattern.part != "pair")
        if pattern.dead:
            axes.text(0.5, 0.5, "dead", transform=axes.transAxes, ha="center", color="#d1242f")


def _label(axes: Axes, *, shared: bool) -> None:
    """Leave labels at the edge of the grid; hertz everywhere where a row does not share them."""
    if shared:
        axes.label_outer()
        return
    place = axes.get_subplotspec()
    assert place is not None
    if not place.is_last_row():
        axes.set_xlabel("")
        axes.tick_params(labelbottom=False)
