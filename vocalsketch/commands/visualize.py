"""`vocalsketch visualize`: see and hear what the units of a trained network look for."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.commands.actions import Options, add_options
from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    from vocalsketch.interpret.ascent import AscentSettings
    from vocalsketch.interpret.clips import Clips
    from vocalsketch.interpret.figures import Column
    from vocalsketch.interpret.gallery import Written
    from vocalsketch.interpret.layers import Layer
    from vocalsketch.interpret.subject import Subject
    from vocalsketch.interpret.units import Position

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_options(parser, OPTIONS)


def run(arguments: argparse.Namespace) -> int:
    """Find the patterns, write everything and print where."""
    from vocalsketch.files import make_folder
    from vocalsketch.interpret.gallery import write_gallery
    from vocalsketch.interpret.layers import check_alike, check_slope, selected_layers
    from vocalsketch.interpret.subject import load_subjects
    from vocalsketch.interpret.tracking import track
    from vocalsketch.interpret.units import Activity

    settings, position = _settings(arguments), _position(arguments.position)
    check_slope(arguments.slope)
    names = None if arguments.names is None else arguments.names.split(",")
    subjects = load_subjects(arguments.checkpoints, names, _device(arguments.device))
    layers = None if arguments.layers is None else arguments.layers.split(",")
    chosen = [selected_layers(subject.layers, layers, arguments.part) for subject in subjects]
    check_alike(chosen)
    units = [_units(layer, arguments) for layer in chosen[0]]
    for layer in chosen[0]:
        Activity(layer, position)  # refuses a position that is not there, before any work
    make_folder(arguments.out)
    clips = _clips(subjects, arguments.corpus, arguments.seed)
    columns = [
        _column(subject, layers, units, clips[number] if clips else None, arguments)
        for number, (subject, layers) in enumerate(zip(subjects, chosen, strict=True))
    ]
    introduction = _introduction(arguments, settings, clips)
    seed = arguments.seed
    written = write_gallery(
        columns, arguments.out, introduction, position=position, seed=seed, progress=True
    )
    _print_summary(columns, written)
    if arguments.wandb:
        track(columns, written, arguments.out)
    return 0


def _column(
    subject: "Subject",
    layers: "Sequence[Layer]",
    units: Sequence[Sequence[int]],
    clips: "Clips | None",
    arguments: argparse.Namespace,
) -> "Column":
    """Find the patterns of one checkpoint, layer by layer."""
    from vocalsketch.interpret.figures import Column
    from vocalsketch.interpret.pattern import maximise

    return Column(
        subject,
        [
            maximise(
                subject,
                layer,
                of_layer,
                settings=_settings(arguments),
                position=_position(arguments.position),
                clips=None if clips is None else clips.of(layer.part),
                seed=arguments.seed,
                slope=arguments.slope,
                progress=True,
            )
            for layer, of_layer in zip(layers, units, strict=True)
        ],
    )


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
    from vocalsketch.interpret.units import checked_units, drawn_units

    if arguments.only is not None:
        return checked_units(layer, _numbers("--only", arguments.only))
    return drawn_units(layer, arguments.units, arguments.seed)


def _clips(subjects: "Sequence[Subject]", corpus_root: str | None, seed: int) -> "list[Clips]":
    """Return the clips that each checkpoint's patterns are held against."""
    if corpus_root is None:
        return []
    from vocalsketch.datasets.open import open_corpus
    from vocalsketch.interpret.clips import draw_clips

    corpus = open_corpus(corpus_root)
    drawn = [draw_clips(corpus, subjects[0].front_ends, seed)]
    for subject in subjects[1:]:
        alike = subject.describe_front_ends() == subjects[0].describe_front_ends()
        drawn.append(drawn[0] if alike else draw_clips(corpus, subject.front_ends, seed))
    return drawn


def _introduction(
    arguments: argparse.Namespace, settings: "AscentSettings", clips: "Sequence[Clips]"
) -> list[str]:
    from vocalsketch.retrieval.results import corpus_tag

    of = "a whole channel" if arguments.position is None else f"position {arguments.position}"
    used = {
        "L2": settings.l2,
        "total variation": settings.total_variation,
        "jitter": settings.jitter,
    }
    regularised = ", ".join(f"{name} {value:g}" for name, value in used.items() if value)
    against = f"clips of {corpus_tag(clips[0].corpus)}" if clips else "no real clips"
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


def _print_summary(columns: "Sequence[Column]", written: "Written") -> None:
    from vocalsketch.retrieval.results import corpus_tag

    for column in columns:
        tag = corpus_tag(column.subject.corpus)
        for portrait in column.portraits:
            patterns = portrait.patterns
            dead = [str(pattern.unit) for pattern in patterns if pattern.dead]
            converged = sum(pattern.converged for pattern in patterns)
            print(
                f"{column.subject.name}, {portrait.layer.part} {portrait.layer.name}: "
                f"{len(patterns)} patterns, {converged} converged"
                f"{', dead: ' + ', '.join(dead) if dead else ''} ({tag})"
            )
    print(f"{len(written.figures)} figures, {len(written.sounds)} sounds, {written.page}")
