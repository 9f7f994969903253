"""A trained network to be looked into, whatever model its checkpoint holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vocalsketch.domain import Side
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.layers import (
    LEAKY_SLOPE,
    Layer,
    classifier_layers,
    siamese_layers,
    with_leaky_units,
)
from vocalsketch.models import ConvStage, TowerGeometry
from vocalsketch.models.classifier import Classifier
from vocalsketch.systems import front_end_from
from vocalsketch.systems.checkpoints import (
    check_weights,
    description_of,
    description_used,
    load_system,
    read_checkpoint,
)

IMITATION_RATE = 16_000  # hz; above it a lone tower's clips are taken for recordings


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, how to list its layers, and what its inputs are.

    Attributes:
        name: What it is called in pictures.
        network: The network, in evaluation mode.
        list_layers: Lists the layers of such a network.
        front_ends: The front end of each side that it has.
        corpus: Name of the corpus it was trained on.
    """

    name: str
    network: nn.Module
    list_layers: Callable[..., tuple[Layer, ...]]
    front_ends: Mapping[Side, FrontEnd]
    corpus: str

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers whose units can be looked at."""
        return self.list_layers(self.network)

    def leaky(self, slope: float = LEAKY_SLOPE) -> "Subject":
        """Return the same with leaky units, on a copy of the network, laid out for many steps."""
        changed = with_leaky_units(self.network, slope)
        return replace(self, network=changed.to(memory_format=torch.channels_last))

    def inputs_of(self, layer: Layer) -> tuple[FrontEnd, ...]:
        """Return the front ends of what a layer sees: one of a tower, two of a pair."""
        sides: tuple[Side, ...] = (
            ("imitation", "recording") if layer.part == "pair" else (layer.part,)
        )
        return tuple(self.front_ends[side] for side in sides)


def load_subject(path: Path) -> Subject:
    """Load whatever network with a tower a checkpoint holds.

    Raises:
        CheckpointError: The checkpoint cannot be read, or is of something without a tower.
    """
    made = description_of(path, read_checkpoint(path))
    system = made.get("system", "something unknown")
    if system not in LOADERS:
        raise CheckpointError(
            f"{path} holds no convolutional tower but {system!r}: give a checkpoint of "
            f"{' or '.join(LOADERS)}."
        )
    return LOADERS[system](path)


def load_subjects(
    paths: Sequence[Path], names: Sequence[str] | None = None, device: str = "cpu"
) -> list[Subject]:
    """Load one checkpoint, or two to be compared, under names that tell them apart.

    Args:
        paths: The checkpoints.
        names: A name for each; by default those of their runs' folders.
        device: Where the networks go.

    Raises:
        CheckpointError: As ``load_subject``.
        ConfigError: There are more than two, or not one name for each.
    """
    if not 1 <= len(paths) <= 2:
        raise ConfigError(f"{len(paths)} checkpoints are given: give one, or two to compare.")
    subjects = [load_subject(path) for path in paths]
    if names is None:
        names = [subject.name for subject in subjects]
        if len(set(names)) < len(names):
            names = [f"{name} {number}" for number, name in enumerate(names, start=1)]
    plain = ["".join(c if c.isalnum() or c in " -_.()" else "_" for c in name) for name in names]
    plain = [name.strip(" .") for name in plain]
    if len(plain) != len(paths) or not all(plain) or len(set(plain)) < len(plain):
        raise ConfigError(f"names are {list(names)}: give {len(paths)} that differ.")
    return [
        replace(subject, name=name, network=subject.network.to(device))
        for subject, name in zip(subjects, plain, strict=True)
    ]


def _load_siamese(path: Path) -> Subject:
    system = load_system(path)
    return Subject(_name(path), system, siamese_layers, system.front_ends, system.corpus)


def _load_classifier(path: Path) -> Subject:
    """Load a pre-trained tower with its classes (paper, figures 4 and 5)."""
    checkpoint = read_checkpoint(path)
    made = description_of(path, checkpoint)
    weights = {
        name.removeprefix("network."): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith("network.")
    }
    with description_used(path):
        front_end = front_end_from(made["front_end"])
        corpus = str(checkpoint["vocalsketch"]["provenance"]["corpus"])
        with torch.device("meta"):  # whose memory is nobody's, however large the geometry
            check_weights(path, _classifier(made, weights), weights)
        network = _classifier(made, weights)
    network.load_state_dict(weights)
    side: Side = "recording" if front_end.sample_rate > IMITATION_RATE else "imitation"
    return Subject(
        _name(path),
        network.eval(),
        partial(classifier_layers, part=side),
        {side: front_end},
        corpus,
    )


def _classifier(made: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Classifier:
    tower = TowerGeometry(
        [ConvStage(**stage) for stage in made["tower"]["stages"]], made["tower"]["batch_norm"]
    )
    hidden = [len(weights[f"head.{place}.bias"]) for place in _linear_places(weights)][:-1]
    return Classifier(tuple(made["input_shape"]), tower, len(made["classes"]), hidden)


def _linear_places(weights: Mapping[str, Tensor]) -> list[int]:
    """Return where the classification head has layers with weights, first to last."""
    return sorted(
        int(name.split(".")[1])
        for name in weights
        if name.startswith("head.") and name.endswith(".bias")
    )


def _name(path: Path) -> str:
    """Return the run's folder, which says more than ``best.ckpt``."""
    folder = path.resolve().parent
    return folder.parent.name if folder.name == "checkpoints" else folder.name or path.stem


LOADERS: dict[str, Callable[[Path], Subject]] = {
    "siamese": _load_siamese,
    "classifier": _load_classifier,
}
