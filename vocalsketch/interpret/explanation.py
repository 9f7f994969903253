"""The page of `vocalsketch explain`: two spectrograms, what spoke for the pair, and the sounds."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.domain import SIDES, Side
from vocalsketch.features.audio import load_clip
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.attribution import Attribution, attribute
from vocalsketch.interpret.bins import duration
from vocalsketch.interpret.figures import STYLE, as_png, draw_spectrogram
from vocalsketch.interpret.heard import wav
from vocalsketch.interpret.page import Card, Section, page
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.systems import System

Waveform = NDArray[np.float32]

READING = (
    "Red spoke for the pair, blue against it; each value is its contribution to the logit, counted "
    "from silence (integrated gradients). The line below sums it over frequency. A contribution "
    "says what this network used, not what makes two sounds alike."
)


def explain(trained: System, query: Path, sound: Path) -> tuple[str, Attribution]:
    """Return a self-contained HTML page on why a sound scores as it does for a query.

    Args:
        trained: The network and its front ends.
        query: An imitation's audio file.
        sound: A recording's audio file.

    Raises:
        AudioError: A file cannot be read.
    """
    paths: dict[Side, Path] = {"imitation": query, "recording": sound}
    clips = {side: load_clip(paths[side], trained.front_ends[side]) for side in SIDES}
    names = {side: paths[side].name for side in SIDES}
    section, found = explained(trained, clips, names)
    return explanation_page([section], [trained.corpus], names), found


def explained(
    trained: System,
    clips: Mapping[Side, Waveform],
    names: Mapping[Side, str],
    heading: str = "What the network used",
) -> tuple[Section, Attribution]:
    """Return the part of the page that is about one network.

    Args:
        trained: The network and its front ends.
        clips: (samples,) of each side, as long as its front end wants and at its rate.
        names: What each side is called.
        heading: Of this part.
    """
    spectrograms = {
        side: trained.front_ends[side](torch.from_numpy(clips[side])[None])[0] for side in SIDES
    }
    found = attribute(trained, spectrograms["imitation"], spectrograms["recording"])
    contributions = {"imitation": found.imitation, "recording": found.recording}
    limit = float(max(np.percentile(each.abs().numpy(), 99.5) for each in contributions.values()))
    cards = [
        _card(
            f"{side}: {names[side]}",
            spectrograms[side],
            contributions[side],
            trained.front_ends[side],
            clips[side],
            limit or 1.0,
        )
        for side in SIDES
    ]
    text = (
        f"Likelihood {found.probability:.3f} (logit {found.logit:.3f}; silence paired with silence "
        f"has {found.silence:.3f}). The contributions add up to the difference within "
        f"{abs(found.gap):.1g}."
    )
    return Section(heading, text, cards), found


def explanation_page(
    sections: Sequence[Section], corpora: Iterable[str], names: Mapping[Side, str]
) -> str:
    """Return the page on one pair.

    Args:
        sections: What ``explained`` says of each network.
        corpora: What they were trained on.
        names: What each side is called.
    """
    tags = ", ".join(dict.fromkeys(corpus_tag(corpus) for corpus in corpora))
    title = f"Why {names['recording']} for {names['imitation']}"
    return page(title, f"trained on {tags}", [READING], sections)


def _card(
    heading: str,
    spectrogram: Tensor,
    contribution: Tensor,
    front_end: FrontEnd,
    clip: Waveform,
    limit: float,
) -> Card:
    span = contribution.clamp(min=0).sum(), contribution.clamp(max=0).sum()
    samples = round(duration(front_end) * front_end.sample_rate)
    return Card(
        heading,
        as_png(_figure(spectrogram, contribution, front_end, limit)),
        "Spectrogram, the contribution of each of its values, and their sum over frequency.",
        {"what the network heard": wav(clip[:samples], front_end.sample_rate)},
        {"for the pair": f"{float(span[0]):+.3f}", "against it": f"{float(span[1]):+.3f}"},
    )


def _figure(spectrogram: Tensor, contribution: Tensor, front_end: FrontEnd, limit: float) -> Figure:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 5.4), layout="constrained")
        above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
        draw_spectrogram(above, spectrogram, front_end)
        style: dict[str, Any] = {"vmin": -limit, "vmax": limit, "cmap": "RdBu_r"}
        draw_spectrogram(middle, contribution, front_end, **style)
        middle.set_title("contribution to the logit")
        summed = contribution.sum(dim=0).numpy()
        times = (np.arange(len(summed)) + 0.5) * duration(front_end) / len(summed)
        below.fill_between(times, summed.clip(min=0), color="#b2182b", lw=0)
        below.fill_between(times, summed.clip(max=0), color="#2166ac", lw=0)
        below.axhline(0, color="#24292e", lw=0.5)
        below.set_xlabel("s")
        above.label_outer()
        middle.label_outer()
    return figure
