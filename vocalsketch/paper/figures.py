"""Figure 6 of the paper and the histograms of ranks, as PNG and SVG."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vocalsketch.paper.published import FIGURE_6, label
from vocalsketch.paper.study import Study
from vocalsketch.paper.table import paper_sample
from vocalsketch.retrieval.ranking import Ranks
from vocalsketch.retrieval.results import corpus_tag

INK = "#24292e"  # of text and axes; the page puts its own text colour in its place
COLOURS = ("#8a8f98", "#4c9be8", "#e8804c", "#2c6cb0", "#b5522a")  # told apart by colour-blind
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


def figure_6(study: Study) -> Figure:
    """Draw the MRR of the systems of Figure 6: mean, spread and every seed, by category.

    A dashed line is chance. A diamond is the paper's mean, drawn only where the candidates are
    the paper's. Systems that were not run are left out.
    """
    keys = [key for key in FIGURE_6 if study.rows.get(key)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.4), layout="constrained")
        axes = figure.add_subplot()
        for place, key in enumerate(keys):
            _bars(axes, study, key, place, len(keys))
        for number, category in enumerate(study.categories):
            chance = study.chance[category]
            ends = (number - 0.46, number + 0.46)
            name = "chance" if number == 0 else None
            axes.plot(ends, (chance, chance), "--", color=INK, linewidth=1, label=name)
        axes.set_xticks(range(len(study.categories)), _wrapped(study.categories))
        axes.set_ylabel("mean reciprocal rank")
        axes.set_title(corpus_tag(study.reference.corpus), fontsize=9.5, loc="left")
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8.5)
    return figure


def rank_histograms(study: Study, key: str) -> Figure:
    """Draw at which rank the target of a query lies, by category, over all seeds of a row.

    The line is the yardstick without learning, where it was measured; dashed is chance.
    """
    rows = math.ceil(len(study.categories) / 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 0.4 + 2.3 * rows), layout="constrained")
        for number, category in enumerate(study.categories):
            axes = figure.add_subplot(rows, 2, number + 1)
            _histogram(axes, study, key, number)
            axes.set_title(category, fontsize=9.5, loc="left")
        title = f"{label(key)}, {corpus_tag(study.reference.corpus)}"
        figure.suptitle(title, fontsize=9.5, x=0.01, ha="left")
    return figure


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG document, the same each time."""
    target = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
    return target.getvalue()


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG on white."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=RESOLUTION, facecolor="white")
    return target.getvalue()


def figures(study: Study) -> Mapping[str, Figure]:
    """Return every figure that the runs allow, by file name."""
    drawn: dict[str, Figure] = {}
    if any(study.rows.get(key) for key in FIGURE_6):
        drawn["figure6"] = figure_6(study)
    if study.best is not None:
        drawn["ranks"] = rank_histograms(study, study.best)
    return drawn


def _bars(axes: Axes, study: Study, key: str, place: int, systems: int) -> None:
    width = min(0.84 / systems, WIDEST_BAR)
    offset = (place - (systems - 1) / 2) * width
    colour = COLOURS[FIGURE_6.index(key)]
    for number, category in enumerate(study.categories):
        seeds = [float(ranks.mean()) for ranks in study.reciprocal_ranks[key][category].values()]
        sample, paper = study.sample(key, category), paper_sample(key, category)
        assert sample is not None
        x = number + offset
        spread = None if math.isnan(sample.std) else sample.std
        name = label(key) if number == 0 else None
        axes.bar(x, sample.mean, width * 0.9, color=colour, yerr=spread, ecolor=INK, label=name)
        axes.plot(np.full(len(seeds), x), seeds, ".", color=INK, markersize=3, alpha=0.6)
        if paper is not None and study.comparable:
            first = key == FIGURE_6[0] and number == 0
            axes.plot(
                x,
                paper.mean,
                "D",
                markerfacecolor="none",
                markeredgecolor=INK,
                markersize=4.5,
                linestyle="none",
                label="the paper's mean" if first else None,
            )


def _histogram(axes: Axes, study: Study, key: str, number: int) -> None:
    candidates = len(study.reference.categories[number].candidates)
    category = study.categories[number]
    seeds = study.reciprocal_ranks[key][category].values()
    ranks = np.arange(1, candidates + 1)
    axes.bar(ranks, _shares(1.0 / np.concatenate(list(seeds)), candidates), 0.86, color=COLOURS[1])
    if study.yardstick is not None:
        shares = _shares(study.yardstick.categories[number].ranks, candidates)
        axes.step(ranks, shares, where="mid", color=COLOURS[4], linewidth=1.2)
    axes.axhline(100 / candidates, color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel("rank of the target")
    axes.set_ylabel("% of queries")
    axes.set_xlim(0.4, candidates + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _shares(ranks: Ranks, candidates: int) -> Ranks:
    """Return the percentage of queries at each rank, a half rank counted to the next whole one."""
    counts = np.histogram(ranks, np.arange(candidates + 1) + 0.5)[0]
    shares: Ranks = 100.0 * counts / len(ranks)
    return shares


def _wrapped(categories: Sequence[str]) -> list[str]:
    return [category.replace(" ", "\n", 1) for category in categories]
