"""A trained network to be looked into, whatever model its checkpoint holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from vocalsketch.datasets.records import Corpus
from vocalsketch.domain import Side
from vocalsketch.errors import CheckpointError, ConfigError, DamagedCheckpointError
from vocalsketch.features.audio import load_clip
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.layers import LEAKY_SLOPE, Layer
from vocalsketch.interpret.tracing import layers_of, with_leaky_units
from vocalsketch.models import TowerGeometry
from vocalsketch.models.tower import Classifier
from vocalsketch.systems import front_end_from, load_system
from vocalsketch.systems.checkpoints import check_weights, description_used, read_checkpoint

CLIPS = 200


@dataclass(frozen=True, eq=False)
class Subject:
    """A network under a name."""

    name: str  # what it is called in pictures
    network: Any  # a ``Network`` that is a module, in evaluation mode
    corpus: str  # name of the corpus it was trained on

    @property
    def front_ends(self) -> Mapping[Side, FrontEnd]:
        """The front end of each side that it has."""
        front_ends: Mapping[Side, FrontEnd] = self.network.front_ends
        return front_ends

    @property
    def device(self) -> torch.device:
        """Where it is."""
        device: torch.device = next(self.network.parameters()).device
        return device

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers whose units can be looked at."""
        return layers_of(self.network)

    def leaky(self, slope: float = LEAKY_SLOPE) -> "Subject":
        """Return the same with leaky units, on a copy of the network, laid out for many steps."""
        changed = with_leaky_units(self.network, slope)
        return replace(self, network=changed.to(memory_format=torch.channels_last))

    def inputs_of(self, layer: Layer) -> tuple[FrontEnd, ...]:
        """Return the front ends of what a layer sees: one of a tower, two of a pair."""
        return tuple(self.front_ends[side] for side in layer.sides)

    def clips(self, corpus: Corpus, seed: int, count: int = CLIPS) -> dict[Side, Tensor]:
        """Draw imitations with the recordings that they imitate, to hold patterns against.

        Returns:
            Of each side the standardised spectrograms (clips, bins, frames), row by row.

        Raises:
            AudioError: One of them cannot be read.
        """
        chosen = np.random.default_rng(seed).permutation(len(corpus.imitations))[:count]
        sounds = {sound.id: sound.path for sound in corpus.sounds}
        imitations = [corpus.imitations[row] for row in chosen]
        paths = {
            "imitation": [imitation.path for imitation in imitations],
            "recording": [sounds[imitation.sound_id] for imitation in imitations],
        }
        drawn: dict[Side, Tensor] = {}
        for side, front_end in self.front_ends.items():
            made = {}
            for path in tqdm(sorted(set(paths[side])), f"{side} clips", unit="clip"):
                clip = torch.from_numpy(load_clip(path, front_end))[None].to(self.device)
                made[path] = front_end(clip)[0]
            drawn[side] = torch.stack([made[path] for path in paths[side]])
        return drawn


class PretrainedTower(nn.Module):
    """A tower of one side under its classes (paper, figures 4 and 5), as a network of one side.

    Args:
        side: Whose tower it is.
        front_end: What it sees through.
        classifier: The tower and its classes.
    """

    def __init__(self, side: Side, front_end: FrontEnd, classifier: Classifier) -> None:
        super().__init__()
        self.front_ends = cast("Mapping[Side, FrontEnd]", nn.ModuleDict({side: front_end}))
        self.classifier = classifier

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map features to what the last layer tells the classes by, (clips, width)."""
        hidden: Tensor = self.classifier.head[:-1](self.classifier.tower(features))
        return hidden


def load_subject(path: Path) -> Subject:
    """Load whatever network a checkpoint holds.

    Raises:
        CheckpointError: The checkpoint cannot be read, or no layer of it can be looked at.
    """
    try:
        checkpoint = read_checkpoint(path)
    except DamagedCheckpointError:
        checkpoint = {}  # a system's own file, or nothing: loading it says which
    with description_used(path):
        made = checkpoint.get("vocalsketch") or {}
        described: Mapping[str, Any] = made.get("description") or {}
        if "classes" in described:
            network = _pretrained(path, described, checkpoint["state_dict"])
            subject = Subject(_name(path), network.eval(), str(made["provenance"]["corpus"]))
        else:
            system = load_system(path)
            subject = Subject(_name(path), system, system.corpus)
    if not subject.layers:
        raise CheckpointError(
            f"{path} holds {described.get('system', 'a system')!r}, which has no layers whose "
            "units could be looked at: give a checkpoint of a network."
        )
    return subject


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


def _pretrained(
    path: Path, described: Mapping[str, Any], state: Mapping[str, Tensor]
) -> PretrainedTower:
    weights = {
        name.removeprefix("network."): value
        for name, value in state.items()
        if name.startswith("network.")
    }
    front_end = front_end_from(described["front_end"])
    with torch.device("meta"):  # whose memory is nobody's, however large the geometry
        check_weights(path, _classifier(described, weights), weights)
    classifier = _classifier(described, weights)
    classifier.load_state_dict(weights)
    return PretrainedTower(described["side"], front_end, classifier)


def _classifier(described: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Classifier:
    tower = TowerGeometry.from_dict(described["tower"])
    linear = sorted(
        int(name.split(".")[1])
        for name in weights
        if name.startswith("head.") and name.endswith(".bias")
    )
    hidden = [len(weights[f"head.{place}.bias"]) for place in linear][:-1]
    return Classifier(tuple(described["input_shape"]), tower, len(described["classes"]), hidden)


def _name(path: Path) -> str:
    """Return the run's folder, which says more than ``best.ckpt``."""
    folder = path.resolve().parent
    return folder.parent.name if folder.name == "checkpoints" else folder.name or path.stem
