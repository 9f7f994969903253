"""A study's plots, as pictures and for a page, made to be read."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import optuna
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from vocalsketch.files import written_whole
from vocalsketch.sweep.experimental import experimental

INCHES = 1.6  # between the axes of parallel coordinates
RESOLUTION = 120  # dots per inch
PAGE_WIDTH = 1060  # pixels of a plot on a page
COLOURS = "viridis_r"  # the palest of Optuna's own colours cannot be seen


class Plot(NamedTuple):
    """A function of Optuna's visualization, and its arguments beside the study."""

    kind: str
    options: dict[str, Any]


def write_picture(study: optuna.Study, plot: Plot, path: Path) -> Path:
    """Draw a plot into a PNG file; return its path."""
    matplotlib.use("Agg")
    with experimental(), warnings.catch_warnings():
        # an axis of a parameter that had one value only is widened, as it should be
        warnings.filterwarnings("ignore", "Attempting to set identical low and high")
        getattr(optuna.visualization.matplotlib, plot.kind)(study, **plot.options)
    figure = plt.gcf()
    if plot.kind == "plot_parallel_coordinate":
        _tidy_parallel(figure, len(plot.options["params"]))
    if plot.kind == "plot_slice":
        _tidy_slices(figure)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=RESOLUTION, bbox_inches="tight")
    plt.close(figure)
    return path


def page_part(study: optuna.Study, plot: Plot) -> str:
    """Return a plot as HTML for a page that has plotly's script."""
    with experimental():
        figure = getattr(optuna.visualization, plot.kind)(study, **plot.options)
    figure.update_layout(width=PAGE_WIDTH)
    shown: str = figure.to_html(full_html=False, include_plotlyjs=False)
    return shown


def _tidy_parallel(figure: Figure, parameters: int) -> None:
    """Give each axis room, a label that stands under it, and lines that can be told apart."""
    figure.set_size_inches(3 + INCHES * parameters, 6)
    for axes in figure.axes:
        axes.set_facecolor("white")
        axes.grid(visible=False)
        labels = _texts(axes.get_yticklabels())
        if any(map(_is_name, labels)):
            axes.set_yticks(axes.get_yticks(), [_short(label) for label in labels])
        for lines in axes.collections:
            if isinstance(lines, LineCollection):
                lines.set_cmap(COLOURS)
    _turn_labels(figure.axes[0], 30)


def _tidy_slices(figure: Figure) -> None:
    """Write few numbers on a logarithmic axis, and turn labels so that they do not meet."""
    for axes in figure.axes:
        if axes.get_xscale() == "log":
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        labels = _texts(axes.get_xticklabels())
        if any(map(_is_name, labels)):
            axes.set_xticks(axes.get_xticks(), [_short(label) for label in labels])
        _turn_labels(axes, 45)


def _turn_labels(axes: Axes, degrees: int) -> None:
    for label in axes.get_xticklabels():
        label.set(rotation=degrees, ha="right", rotation_mode="anchor")


def _texts(labels: Any) -> list[str]:
    return [label.get_text().strip("'") for label in labels]


def _is_name(label: str) -> bool:
    """Return whether a label names a choice; ticks of numbers stay where they are."""
    return label[:1].isalpha()


def _short(label: str) -> str:
    """Return the last part of a class path."""
    return label.rpartition(".")[2]
