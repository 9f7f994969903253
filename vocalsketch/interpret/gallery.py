"""Everything that `vocalsketch visualize` writes: figures, sounds and the page."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from vocalsketch.domain import SIDES
from vocalsketch.files import write_text, written_whole
from vocalsketch.interpret.figures import NUMBERS, as_png, as_svg, gallery_figure, pattern_figure
from vocalsketch.interpret.layers import PARTS
from vocalsketch.interpret.page import Card, Section, page
from vocalsketch.interpret.pattern import NOISE_INPUTS, Heard, Pattern, Portrait, hear, wav
from vocalsketch.retrieval.results import corpus_tag

DEAD = "Dead: neither this pattern, nor noise, nor any real clip raises the unit above 0."
DEAD_UNSEEN = "Dead: neither this pattern nor noise raises the unit above 0."
SILENT = "No real clip activates this unit."


@dataclass(frozen=True)
class Written:
    """What was written."""

    page: Path  # the page
    figures: tuple[Path, ...]  # PNG files
    sounds: tuple[Path, ...]  # wav files


def write_gallery(
    columns: Sequence[Sequence[Portrait]],
    out: Path,
    paragraphs: Sequence[str],
    *,
    seed: int = 0,
    progress: bool = False,
) -> Written:
    """Draw, sonify and write the patterns of one or two checkpoints.

    Args:
        columns: The portraits of each checkpoint, of the same layers and units.
        out: Folder; made where it is not there.
        paragraphs: How the patterns were found, for the page.
        seed: Of the phases of the sounds.
        progress: Whether to show a bar.
    """
    figures = tuple(_write_figures(columns, out))
    sounds: list[Path] = []
    sections = []
    shown = [portrait for of_layer in zip(*columns, strict=True) for portrait in of_layer]
    total = sum(len(portrait.patterns) for portrait in shown)
    with tqdm(total=total, desc="sounds", unit="pattern", disable=not progress) as bar:
        for portrait in shown:
            cards = []
            for pattern in portrait.patterns:
                heard = hear(portrait, pattern, seed)
                files = _wavs(portrait, pattern, heard) if heard else {}
                for name, data in files.items():
                    sounds.append(_write_bytes(out / "sounds" / name, data))
                cards.append(_card(portrait, pattern, heard, files))
                bar.update()
            sections.append(Section(_heading(portrait), _text(portrait), cards))
    subjects = [portraits[0].subject for portraits in columns]
    names = ", ".join(subject.name for subject in subjects)
    tags = dict.fromkeys(corpus_tag(subject.corpus) for subject in subjects)
    written = out / "page.html"
    html = page(
        f"What was learned: {names}", f"trained on {' and '.join(tags)}", paragraphs, sections
    )
    write_text(written, html)
    return Written(written, figures, tuple(sounds))


def _write_figures(columns: Sequence[Sequence[Portrait]], out: Path) -> Iterator[Path]:
    """Write figure 7, 8 and 9, as far as there are patterns for them; yield the PNG files."""
    for part in PARTS:
        of_part = [[each for each in mine if each.layer.part == part] for mine in columns]
        if of_part[0]:
            figure = gallery_figure(of_part)
            stem = NUMBERS[part] + ("_pairs" if part == "pair" else f"_{part}_tower")
            write_text(out / f"{stem}.svg", as_svg(figure))
            yield _write_bytes(out / f"{stem}.png", as_png(figure))


def _write_bytes(target: Path, data: bytes) -> Path:
    with written_whole(target) as temporary:
        temporary.write_bytes(data)
    return target


def _wavs(portrait: Portrait, pattern: Pattern, heard: Heard) -> dict[str, bytes]:
    """Return the wav files of a pattern by name."""
    sides = portrait.layer.sides
    stem = f"{portrait.subject.name}/{pattern.part}_{pattern.layer}_{pattern.unit:03d}"
    return {
        f"{stem}_{side}.wav" if len(sides) > 1 else f"{stem}.wav": wav(waveform, rate)
        for side, waveform, rate in zip(sides, heard.waveforms, heard.sample_rates, strict=True)
    }


def _heading(portrait: Portrait) -> str:
    layer = portrait.layer
    sees = "imitation-recording pairs" if layer.part == "pair" else f"{layer.part} tower"
    return f"{portrait.subject.name}: {layer.name}, {sees}"


def _text(portrait: Portrait) -> str:
    layer = portrait.layer
    said = f"{len(portrait.patterns)} of {layer.units} units."
    if portrait.silent is None:
        return said
    if not portrait.silent:
        return f"{said} Each unit of the layer is activated by some real clip."
    names = ", ".join(map(str, portrait.silent))
    return f"{said} No real clip activates {len(portrait.silent)} of the layer's units: {names}."


def _card(
    portrait: Portrait, pattern: Pattern, heard: Heard | None, files: Mapping[str, bytes]
) -> Card:
    labels = SIDES if pattern.part == "pair" else ("its sound",)
    return Card(
        f"{pattern.layer}, unit {pattern.unit}",
        as_png(pattern_figure(portrait, pattern)),
        f"Pattern that activates unit {pattern.unit} of {pattern.layer}, and the curve of its "
        "activation over the steps.",
        dict(zip(labels, files.values(), strict=False)),
        _facts(pattern, heard),
        _note(pattern),
    )


def _facts(pattern: Pattern, heard: Heard | None) -> dict[str, str]:
    facts = {
        "activation reached": f"{pattern.activation:.4g}",
        f"highest of {NOISE_INPUTS} noise inputs": _compared(pattern, pattern.noise),
    }
    if pattern.clips is not None:
        facts[f"highest of {len(pattern.clips)} real clips"] = _compared(pattern, pattern.clips)
    facts["ascent"] = (
        f"converged after {len(pattern.curve)} steps"
        if pattern.converged
        else f"not converged within {len(pattern.curve)} steps"
    )
    if heard is not None:
        facts["activation by its sound"] = f"{heard.activation:.4g}"
        correlations = ", ".join(f"{value:.2f}" for value in heard.correlations)
        facts["correlation of its sound's spectrogram with it"] = correlations
    return facts


def _compared(pattern: Pattern, others: Tensor) -> str:
    ratio = pattern.ratio(others)
    of = "; the pattern alone activates it" if math.isinf(ratio) else f"; {ratio:.1f} times that"
    return f"{float(others.max()):.4g}{of if pattern.activation > 0 else ''}"


def _note(pattern: Pattern) -> str:
    if pattern.dead:
        return DEAD_UNSEEN if pattern.clips is None else DEAD
    return SILENT if pattern.silent_on_clips else ""
