"""Figure 6 of the paper and the histograms of ranks, as PNG and SVG."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vocalsketch.paper.measured import Measured
from vocalsketch.paper.rows import ADDED, BEYOND, CONTOURS, FIGURE_6, printed_sample, row_of
from vocalsketch.retrieval.results import corpus_tag

INK = "#24292e"  # of text and axes; the page puts its own text colour in its place
BLUE, RUST = "#4c9be8", "#b5522a"
COLOURS = mpl.color_sequences["petroff10"]  # told apart by colour-blind
WIDEST_BAR = 0.25  # of the room of a category
RESOLUTION = 160  # dots per inch of a PNG
STYLE: Any = {  # matplotlib types its keys one by one
    "svg.hashsalt": "vocalsketch",  # the same figure, the same file
    "svg.fonttype": "none",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def figure_6(measured: Measured) -> Figure:
    """Draw the MRR of the systems of Figure 6, and of rows that are not the paper's.

    Mean, spread and every seed, by category. A dashed line is chance. A diamond is the paper's
    mean, drawn only where the candidates are the paper's. What was not run is left out.
    """
    keys = _drawn(measured)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.4), layout="constrained")
        axes = figure.add_subplot()
        for place, key in enumerate(keys):
            _bars(axes, measured, key, place, keys)
        for number, category in enumerate(measured.categories):
            chance = measured.chance[category]
            ends = (number - 0.46, number + 0.46)
            name = "chance" if number == 0 else None
            axes.plot(ends, (chance, chance), "--", color=INK, linewidth=1, label=name)
        names = [category.replace(" ", "\n", 1) for category in measured.categories]
        axes.set_xticks(range(len(names)), names)
        axes.set_ylabel("mean reciprocal rank")
        axes.set_title(corpus_tag(measured.reference.corpus), fontsize=9.5, loc="left")
        for columns in (3, 2, 1):  # as many as there is room for
            room: Any = {"loc": "outside lower center", "ncols": columns}
            legend = figure.legend(**room, frameon=False, fontsize=8.5)
            if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
                figure.set_figheight(4.0 + 0.2 * math.ceil(len(legend.get_texts()) / columns))
                break
            legend.remove()
    return figure


def rank_histograms(measured: Measured, key: str) -> Figure:
    """Draw at which rank the target of a query lies, by category, over all seeds of a row.

    The line is contours, where they were run and are not the row itself; dashed is chance.
    """
    rows = math.ceil(len(measured.categories) / 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 0.4 + 2.3 * rows), layout="constrained")
        for number, category in enumerate(measured.categories):
            axes = figure.add_subplot(rows, 2, number + 1)
            _histogram(axes, measured, key, category)
            axes.set_title(category, fontsize=9.5, loc="left")
        title = f"{row_of(key).name}, {corpus_tag(measured.reference.corpus)}"
        figure.suptitle(title, fontsize=9.5, x=0.01, ha="left")
    return figure


def as_file(figure: Figure, kind: Literal["svg", "png"]) -> bytes:
    """Return a figure as a file, the same each time: SVG that lets through, or PNG on white."""
    target = io.BytesIO()
    options: Any = {"transparent": True, "metadata": {"Date": None}}
    if kind == "png":
        options = {"dpi": RESOLUTION, "facecolor": "white"}
    with mpl.rc_context(STYLE):
        figure.savefig(target, format=kind, **options)
    return target.getvalue()


def figures(measured: Measured) -> Mapping[str, Figure]:
    """Return every figure that the runs allow, by file name."""
    drawn = {"figure6": figure_6(measured)} if _drawn(measured) else {}
    return {**drawn, "ranks": rank_histograms(measured, measured.strongest)}


def _drawn(measured: Measured) -> list[str]:
    """Return the rows of figure 6 that were run, then those that are not the paper's."""
    others = [key for key in measured.runs if row_of(key).block in (BEYOND, ADDED)]
    return [key for key in (*FIGURE_6, *others) if measured.runs.get(key)]


def _bars(axes: Axes, measured: Measured, key: str, place: int, keys: Sequence[str]) -> None:
    width = min(0.84 / len(keys), WIDEST_BAR)
    offset = (place - (len(keys) - 1) / 2) * width
    colour = COLOURS[place % len(COLOURS)]
    hatch = "///" if place >= len(COLOURS) else None  # which tells the same colour apart
    for number, category in enumerate(measured.categories):
        seeds = measured.reciprocal_ranks[key][category].mean(axis=1)
        sample, paper = measured.sample(key, category), printed_sample(key, category)
        assert sample is not None
        x = number + offset
        spread = None if math.isnan(sample.std) else sample.std
        name = row_of(key).name if number == 0 else None
        looks: Any = {"color": colour, "edgecolor": "white", "hatch": hatch, "ecolor": INK}
        axes.bar(x, sample.mean, width * 0.9, yerr=spread, label=name, **looks)
        axes.plot(np.full(len(seeds), x), seeds, ".", color=INK, markersize=3, alpha=0.6)
        if paper is not None and measured.comparable:
            told = "the paper's mean" if key == keys[0] and number == 0 else None
            axes.plot(x, paper.mean, "D", mfc="none", mec=INK, ms=4.5, ls="none", label=told)


def _histogram(axes: Axes, measured: Measured, key: str, category: str) -> None:
    candidates = measured.sizes[category]
    shown: dict[str, Any] = {key: {"color": BLUE, "rwidth": 0.86}}
    if CONTOURS in measured.reciprocal_ranks and key != CONTOURS:
        shown[CONTOURS] = {"color": RUST, "linewidth": 1.2, "histtype": "step"}
    for each, options in shown.items():
        # a half rank counts to the next whole one
        ranks = 1.0 / measured.reciprocal_ranks[each][category].ravel()
        share = np.full(len(ranks), 100 / len(ranks))
        bins = [number + 0.5 for number in range(candidates + 1)]
        axes.hist(ranks, bins, weights=share, **options)
    axes.axhline(100 / candidates, color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel("rank of the target")
    axes.set_ylabel("% of queries")
    axes.set_xlim(0.4, candidates + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
