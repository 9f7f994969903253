"""A trained network to be looked into, whatever model its checkpoint holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from vocalsketch.datamodules.batches import Side
from vocalsketch.errors import CheckpointError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.layers import LEAKY_SLOPE, Layer, siamese_layers, with_leaky_units
from vocalsketch.tasks.checkpoints import load_siamese, read_checkpoint


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
        """Return the same with leaky units, on a copy of the network."""
        return replace(self, network=with_leaky_units(self.network, slope))

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
    system = read_checkpoint(path).get("vocalsketch", {}).get("system", "something unknown")
    if system not in LOADERS:
        raise CheckpointError(
            f"{path} holds no convolutional tower but {system!r}: give a checkpoint of "
            f"{' or '.join(LOADERS)}."
        )
    return LOADERS[system](path)


def _load_siamese(path: Path) -> Subject:
    trained = load_siamese(path)
    return Subject(
        _name(path), trained.network, siamese_layers, trained.front_ends, trained.corpus
    )


def _name(path: Path) -> str:
    """Return the run's folder, which says more than ``best.ckpt``."""
    folder = path.resolve().parent
    return folder.parent.name if folder.name == "checkpoints" else folder.name or path.stem


LOADERS: dict[str, Callable[[Path], Subject]] = {"siamese": _load_siamese}
