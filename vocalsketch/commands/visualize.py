"""`vocalsketch visualize`: see and hear what the units of a trained network look for."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.commands.actions import Options
from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from vocalsketch.domain import Side
    from vocalsketch.interpret.ascent import AscentSettings
    from vocalsketch.interpret.gallery import Written
    from vocalsketch.interpret.layers import Layer, Position
    from vocalsketch.interpret.pattern import Portrait
    from vocalsketch.interpret.subject import Subject

JITTERED_STEP = 0.1  # a step as long as the input would forget the moves before it


OPTIONS: Options = {
    "checkpoints+ CKPT": (
        Path,
        "a checkpoint, or two to be shown side by side (without and with pre-training)",
    ),
    "--out! DIR": (Path, "where to write"),
    "--layers NAMES": (str, "such as conv1,conv2,fc1 (default: all convolutions, fc1)"),
    "--units": (4, "units drawn from each layer"),
    "--only NUMBERS": (str, "these units instead, such as 0,5,11"),
    "--position BIN,FRAME": (
        str,
        "maximise one position of a channel, or its centre, not its mean",
    ),
    "--steps": (1000, "limit"),
    "--slope": (0.3, "of the leaky ReLU, the paper's"),
    "--l2": (0.0, "weight of L2"),
    "--total-variation": (0.0, "weight of it"),
    "--jitter": (0, "bins and frames to move by"),
    "--names": (str, "names of the checkpoints, separated by commas"),
    "--seed": (0, "of units, starts and phases"),
    "--device": ("cpu", "where the ascent runs: cpu, cuda, mps"),
    "--part": ((None, "imitation", "recording", "pair"), "only layers that see this"),
    "--corpus ROOT": (
        lambda: os.environ.get("VOCALSKETCH_ROOT"),
        "compare with this corpus' clips; demo, or a folder (default: $VOCALSKETCH_ROOT)",
    ),
    "--wandb": (False, "log figures, sounds and page to W&B"),
}


def run(arguments: argparse.Namespace) -> int:
    """Find the patterns, write everything and print where."""
    from vocalsketch.files import make_folder
    from vocalsketch.interpret.gallery import write_gallery
    from vocalsketch.interpret.layers import check_alike, check_slope, selected_layers
    from vocalsketch.interpret.pattern import maximise
    from vocalsketch.interpret.subject import load_subjects
    from vocalsketch.interpret.tracking import track

    settings, position = _settings(arguments), _position(arguments.position)
    check_slope(arguments.slope)
    names = None if arguments.names is None else arguments.names.split(",")
    subjects = load_subjects(arguments.checkpoints, names, _device(arguments.device))
    wanted = None if arguments.layers is None else arguments.layers.split(",")
    chosen = [selected_layers(subject.layers, wanted, arguments.part) for subject in subjects]
    check_alike(chosen)
    chosen = [tuple(replace(layer, position=position) for layer in layers) for layers in chosen]
    units = [_units(layer, arguments) for layer in chosen[0]]
    make_folder(arguments.out)
    corpus, clips = _clips(subjects, arguments)
    columns = [
        [
            maximise(
                subject,
                layer,
                of_layer,
                settings=settings,
                clips=of_subject,
                seed=arguments.seed,
                slope=arguments.slope,
                progress=True,
            )
            for layer, of_layer in zip(layers, units, strict=True)
        ]
        for subject, layers, of_subject in zip(subjects, chosen, clips, strict=True)
    ]
    introduction = _introduction(arguments, settings, corpus)
    written = write_gallery(
        columns, arguments.out, introduction, seed=arguments.seed, progress=True
    )
    portraits = [portrait for column in columns for portrait in column]
    _print_summary(portraits, written)
    if arguments.wandb:
        track(portraits, written, arguments.out)
    return 0


def _settings(arguments: argparse.Namespace) -> "AscentSettings":
    from vocalsketch.interpret.ascent import AscentSettings

    return AscentSettings(
        steps=arguments.steps,
        step_size=JITTERED_STEP if arguments.jitter else 1.0,
        l2=arguments.l2,
        total_variation=arguments.total_variation,
        jitter=arguments.jitter,
    )


def _position(text: str | None) -> "Position":
    if text is None:
        return None
    if text in ("centre", "center"):
        return "centre"
    numbers = _numbers("--position", text)
    if len(numbers) != 2:
        raise ConfigError(f"--position is {text!r}: give BIN,FRAME such as 3,10, or centre.")
    return numbers[0], numbers[1]


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"{option} is {text!r}: give whole numbers separated by commas."
        ) from error


def _device(name: str) -> str:
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--device is {name!r}, which cannot be used here: {reason}") from error
    return name


def _units(layer: "Layer", arguments: argparse.Namespace) -> tuple[int, ...]:
    if arguments.only is not None:
        return layer.checked_units(_numbers("--only", arguments.only))
    return layer.drawn_units(arguments.units, arguments.seed)


def _clips(
    subjects: "Sequence[Subject]", arguments: argparse.Namespace
) -> "tuple[str, list[dict[Side, Tensor] | None]]":
    """Return the name of the corpus, and the clips that each checkpoint's patterns are held to."""
    if arguments.corpus is None:
        return "", [None for _ in subjects]
    from vocalsketch.datasets.open import open_corpus

    corpus = open_corpus(arguments.corpus)
    return corpus.name, [subject.clips(corpus, arguments.seed) for subject in subjects]


def _introduction(
    arguments: argparse.Namespace, settings: "AscentSettings", corpus: str
) -> list[str]:
    from vocalsketch.retrieval.results import corpus_tag

    of = "a whole channel" if arguments.position is None else f"position {arguments.position}"
    used = {
        "L2": settings.l2,
        "total variation": settings.total_variation,
        "jitter": settings.jitter,
    }
    regularised = ", ".join(f"{name} {value:g}" for name, value in used.items() if value)
    against = f"clips of {corpus_tag(corpus)}" if corpus else "no real clips"
    return [
        "Each picture is an input that activates one unit as much as gradient ascent from noise "
        f"could (seed {arguments.seed}), with the weights as trained and ReLUs leaky (slope "
        f"{arguments.slope:g}). Whiter is more energy. Inputs stay within what a front end gives: "
        f"zero mean, variance up to 1. Of a convolution, {of} is activated. Regularisation: "
        f"{regularised or 'none'}.",
        f"A unit has converged when {settings.describe()}; the limit is {settings.steps} steps.",
        "The activations that are listed are those of the unchanged network, with its ReLUs. "
        f"Patterns are compared with noise and with {against}.",
        "A pattern says nothing about loudness and has no phase. Its sound is one whose "
        "spectrogram comes close; no sound may have exactly that spectrogram.",
    ]


def _print_summary(portraits: "Sequence[Portrait]", written: "Written") -> None:
    from vocalsketch.retrieval.results import corpus_tag

    for portrait in portraits:
        patterns, subject = portrait.patterns, portrait.subject
        dead = ", ".join(str(pattern.unit) for pattern in patterns if pattern.dead)
        converged = sum(pattern.converged for pattern in patterns)
        print(
            f"{subject.name}, {portrait.layer.part} {portrait.layer.name}: "
            f"{len(patterns)} patterns, {converged} converged"
            f"{f', dead: {dead}' if dead else ''} ({corpus_tag(subject.corpus)})"
        )
    print(f"{len(written.figures)} figures, {len(written.sounds)} sounds, {written.page}")
