"""A trained network to be looked into, whatever model its checkpoint holds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from tqdm import tqdm

from vocalsketch.datasets.records import Corpus
from vocalsketch.domain import Side
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.features.audio import load_clip
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.layers import Layer, Network, Part, layers_of, with_leaky_units
from vocalsketch.models.tower import Classifier, TowerGeometry
from vocalsketch.systems import front_end_from, load_system
from vocalsketch.systems.checkpoints import description_used, read_saved, rebuilt

CLIPS = 200
LEAKY_SLOPE = 0.3  # for negative inputs (paper, section VII)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network under a name."""

    name: str  # what it is called in pictures
    network: Network  # in evaluation mode
    corpus: str  # name of the corpus it was trained on
    slope: float = LEAKY_SLOPE  # of the leaky ReLUs that ascent climbs; 0 leaves the ReLUs

    def __post_init__(self) -> None:
        if not 0.0 <= self.slope < 1.0:
            raise ConfigError(f"The leaky slope is {self.slope}: use at least 0 and below 1.")

    @property
    def device(self) -> torch.device:
        """Where it is."""
        device: torch.device = next(self.network.parameters()).device
        return device

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers whose units can be looked at."""
        return layers_of(self.network)

    @cached_property
    def leaky_layers(self) -> tuple[Layer, ...]:
        """The same of a leaky copy of the network, laid out for many steps."""
        changed = with_leaky_units(self.network, self.slope)
        return layers_of(changed.to(memory_format=torch.channels_last))

    def clips(self, corpus: Corpus, seed: int) -> dict[Side, Tensor]:
        """Draw imitations with the recordings that they imitate, to hold patterns against.

        Returns:
            Of each side the standardised spectrograms (clips, bins, frames), row by row.
        """
        chosen = np.random.default_rng(seed).permutation(len(corpus.imitations))[:CLIPS]
        sounds = {sound.id: sound.path for sound in corpus.sounds}
        imitations = [corpus.imitations[row] for row in chosen]
        paths = {
            "imitation": [imitation.path for imitation in imitations],
            "recording": [sounds[imitation.sound_id] for imitation in imitations],
        }
        drawn: dict[Side, Tensor] = {}
        for side, front_end in self.network.front_ends.items():
            made = {}
            for path in tqdm(sorted(set(paths[side])), f"{side} clips", unit="clip"):
                clip = torch.from_numpy(load_clip(path, front_end))[None].to(self.device)
                made[path] = front_end(clip)[0]
            drawn[side] = torch.stack([made[path] for path in paths[side]])
        return drawn


class PretrainedTower(nn.Module):
    """A tower of one side under its classes (paper, figures 4 and 5), as a network of one side."""

    def __init__(self, side: Side, front_end: FrontEnd, classifier: Classifier) -> None:
        super().__init__()
        self.front_ends = cast("Mapping[Side, FrontEnd]", nn.ModuleDict({side: front_end}))
        self.classifier = classifier

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map features to what the last layer tells the classes by, (clips, width)."""
        hidden: Tensor = self.classifier.head[:-1](self.classifier.tower(features))
        return hidden


def load_subject(path: Path) -> Subject:
    """Load whatever network a checkpoint holds, under the name of its run's folder.

    Raises:
        CheckpointError: The checkpoint cannot be read, or no layer of it can be looked at.
    """
    made, weights = read_saved(path)
    folder = path.resolve().parent
    name = folder.parent.name if folder.name == "checkpoints" else folder.name or path.stem
    network: Network
    with description_used(path):
        described = made["description"]
        if "classes" in described:
            network = _pretrained(path, described, weights)
        else:
            network = load_system(path)
        subject = Subject(name, network, str(made["provenance"].get("corpus", "")))
    if not subject.layers:
        raise CheckpointError(
            f"{path} holds {described['system']!r}, which has no layers whose units could be "
            "looked at: give a checkpoint of a network."
        )
    return subject


def load_subjects(
    paths: Sequence[Path],
    names: Sequence[str] | None = None,
    device: str = "cpu",
    slope: float = LEAKY_SLOPE,
) -> list[Subject]:
    """Load one checkpoint, or two to be compared, under names that tell them apart.

    By default these are the names of their runs' folders.
    """
    if not 1 <= len(paths) <= 2:
        raise ConfigError(f"{len(paths)} checkpoints are given: give one, or two to compare.")
    subjects = [load_subject(path) for path in paths]
    if names is None:
        names = [subject.name for subject in subjects]
        if len(set(names)) < len(names):
            names = [f"{name} {number}" for number, name in enumerate(names, start=1)]
    plain = [re.sub(r"[^\w .()-]", "_", name).strip(" .") for name in names]  # they name folders
    if len(plain) != len(paths) or not all(plain) or len(set(plain)) < len(plain):
        raise ConfigError(f"names are {list(names)}: give {len(paths)} that differ.")
    return [
        Subject(name, subject.network.to(device), subject.corpus, slope)
        for subject, name in zip(subjects, plain, strict=True)
    ]


def selected_layers(
    subjects: Sequence[Subject], names: Sequence[str] | None, part: Part | None = None
) -> list[tuple[Layer, ...]]:
    """Return the layers of those names, of one part or of all, in the order of each network.

    Args:
        subjects: Whose layers; of several they must be alike, to stand side by side.
        names: Names such as ``conv1``; by default all convolutions and ``fc1``.
        part: Only layers that see this.

    Raises:
        ConfigError: There is no such layer, or they differ in their layers or numbers of units.
    """
    chosen = []
    for subject in subjects:
        of_part = [layer for layer in subject.layers if part in (None, layer.part)]
        known = list(dict.fromkeys(layer.name for layer in of_part))
        if not known:
            there = ", ".join(dict.fromkeys(layer.part for layer in subject.layers))
            raise ConfigError(f"This network has no layer that sees a {part}: choose {there}.")
        wanted = names or [name for name in known if name.startswith("conv") or name == "fc1"]
        for name in wanted:
            if name not in known:
                raise ConfigError(f"There is no layer {name!r}: the layers are {', '.join(known)}.")
        chosen.append(tuple(layer for layer in of_part if layer.name in wanted))
    listed = dict.fromkeys(
        ", ".join(f"{layer.part} {layer.name} ({layer.units} units)" for layer in layers)
        for layers in chosen
    )
    if len(listed) > 1:
        raise ConfigError(
            f"The checkpoints have different layers: {'; and '.join(listed)}. Choose layers and "
            "a part that both have, or visualize each by itself."
        )
    return chosen


def _pretrained(
    path: Path, described: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> PretrainedTower:
    biases = [name for name in weights if name.startswith("head.") and name.endswith(".bias")]
    tower = TypeAdapter(TowerGeometry).validate_python(described["tower"])
    shape, classes = tuple(described["input_shape"]), len(described["classes"])
    hidden = [len(weights[name]) for name in biases[:-1]]
    classifier = rebuilt(path, lambda: Classifier(shape, tower, classes, hidden), weights)
    return PretrainedTower(described["side"], front_end_from(described["front_end"]), classifier)
