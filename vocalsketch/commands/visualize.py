"""`vocalsketch visualize`: see and hear what the units of a trained network look for."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocalsketch.commands.actions import Options
from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    from vocalsketch.interpret.ascent import Portrait
    from vocalsketch.interpret.layers import Layer, Position

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
    "--wandb": (False, "log figures and page to W&B"),
}


def run(arguments: argparse.Namespace) -> int:
    """Find the patterns, write everything and print where."""
    from vocalsketch.datasets.open import open_corpus
    from vocalsketch.files import make_folder
    from vocalsketch.interpret.ascent import AscentSettings, maximise
    from vocalsketch.interpret.figures import track, write_gallery
    from vocalsketch.interpret.subject import load_subjects, selected_layers

    settings = AscentSettings(
        steps=arguments.steps,
        step_size=JITTERED_STEP if arguments.jitter else 1.0,
        l2=arguments.l2,
        total_variation=arguments.total_variation,
        jitter=arguments.jitter,
    )
    position, seed = _position(arguments.position), arguments.seed
    device, names = _device(arguments.device), _listed(arguments.names)
    subjects = load_subjects(arguments.checkpoints, names, device, arguments.slope)
    chosen = [
        [replace(layer, position=position) for layer in layers]
        for layers in selected_layers(subjects, _listed(arguments.layers), arguments.part)
    ]
    units = [_units(layer, arguments) for layer in chosen[0]]
    make_folder(arguments.out)
    corpus = None if arguments.corpus is None else open_corpus(arguments.corpus)
    columns: list[list[Portrait]] = []
    for subject, layers in zip(subjects, chosen, strict=True):
        clips = None if corpus is None else subject.clips(corpus, seed)
        told: dict[str, Any] = {"settings": settings, "clips": clips, "seed": seed}
        each = zip(layers, units, strict=True)
        columns.append([maximise(subject, *of, **told) for of in each])
    compared_with = "" if corpus is None else corpus.name
    figures = write_gallery(
        columns, arguments.out, settings, compared_with=compared_with, seed=seed
    )
    _print_summary([portrait for column in columns for portrait in column])
    print(f"Saved in {arguments.out}")
    if arguments.wandb:
        track(subjects, figures, arguments.out)
    return 0


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else text.split(",")


def _position(text: str | None) -> "Position":
    if text is None:
        return None
    if text == "centre":
        return "centre"
    try:
        place, frame = map(int, text.split(","))
    except ValueError as error:
        told = f"--position is {text!r}: give BIN,FRAME such as 3,10, or centre."
        raise ConfigError(told) from error
    return place, frame


def _device(name: str) -> str:
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--device is {name!r}, which cannot be used here: {reason}") from error
    return name


def _units(layer: "Layer", arguments: argparse.Namespace) -> tuple[int, ...]:
    try:
        only = arguments.only and tuple(map(int, arguments.only.split(",")))
    except ValueError as error:
        told = f"--only is {arguments.only!r}: give whole numbers separated by commas."
        raise ConfigError(told) from error
    return layer.chosen_units(arguments.units, arguments.seed, only)


def _print_summary(portraits: "Sequence[Portrait]") -> None:
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
