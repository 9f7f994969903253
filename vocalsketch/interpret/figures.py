"""Spectrograms drawn over seconds and hertz, and pages in which pictures and sounds stand."""

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.features.front_end import FrontEnd

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


def wav(waveform: NDArray[np.float32], sample_rate: int) -> bytes:
    """Return a waveform (samples,) in [-1, 1] as a wav file of 16 bits."""
    target = io.BytesIO()
    soundfile.write(target, waveform, sample_rate, format="WAV", subtype="PCM_16")
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
