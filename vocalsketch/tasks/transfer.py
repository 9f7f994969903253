"""Transfer: convolutions of pre-trained towers as the start of a Siamese network (section V-D)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models.keras_weights import read_authors_tower
from vocalsketch.models.tower import ConvBlock
from vocalsketch.systems.checkpoints import description_used, read_saved
from vocalsketch.systems.siamese import Siamese

Layers = Literal["conv1", "conv12", "conv123"]
STAGES: dict[Layers, int] = {"conv1": 1, "conv12": 2, "conv123": 3}
KERAS_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True)
class Transfer:
    """Which layers start from pre-trained weights, and where these are.

    Attributes:
        layers: ``conv1``, ``conv12`` or ``conv123``: the first, two or three convolutions of both
            towers; nothing else is copied.
        imitation: Checkpoint of the pre-trained imitation tower, or the authors' ``.h5`` file;
            None leaves that tower as it is.
        recording: Likewise for the recording tower.
    """

    layers: Layers = "conv123"
    imitation: str | None = None
    recording: str | None = None


# What a checkpoint says of a layer: side, layer (from 1), shape of its kernels (filters, channels,
# bins, frames), batch_norm (whether it was copied too: only where both networks have it), path
CopiedLayer = dict[str, Any]


PRE_TRAININGS: dict[Side, str] = {
    "imitation": "pretrain_voxforge",
    "recording": "pretrain_urbansound8k",
}


def transfer_layers(network: Siamese, transfer: Transfer) -> list[CopiedLayer]:
    """Copy pre-trained convolutions into both towers; return what was copied.

    Raises:
        ConfigError: There is nothing to copy from, or the towers cannot take that many layers.
        CheckpointError: A checkpoint cannot be read, holds no tower, has other layers than the
            network, or was trained with another front end.
    """
    if transfer.imitation is None and transfer.recording is None:
        raise ConfigError(
            "transfer names no checkpoint: give transfer.imitation, transfer.recording or both, "
            "or leave transfer out."
        )
    stages = first_stages(network, transfer.layers)
    shared = any(a is b for a, b in zip(*stages.values(), strict=True))
    if shared and transfer.imitation and transfer.recording:
        raise ConfigError(
            "The towers share the layers to be copied: give transfer.imitation or "
            "transfer.recording, not both, or use sharing: untied."
        )
    copied: list[CopiedLayer] = []
    for side in SIDES:
        path: str | None = getattr(transfer, side)
        if path is not None:
            copied += _copy_tower(Path(path), side, stages[side], network.front_ends[side])
    return copied


def first_stages(network: Siamese, layers: Layers) -> dict[Side, list[ConvBlock]]:
    """Return the first stages of each tower.

    Raises:
        ConfigError: A tower has fewer.
    """
    count, towers = STAGES[layers], network.towers()
    for side, tower in towers.items():
        if len(tower.stages) < count:
            raise ConfigError(
                f"{layers} is asked for, but the {side} tower has {len(tower.stages)} "
                "convolutions: name fewer layers."
            )
    return {
        side: [cast("ConvBlock", stage) for stage in list(tower.stages)[:count]]
        for side, tower in towers.items()
    }


def _copy_tower(
    path: Path, side: Side, stages: Sequence[ConvBlock], front_end: FrontEnd
) -> list[CopiedLayer]:
    weights, description = _read_tower(path, side)
    if description is not None and description != front_end.describe():
        raise CheckpointError(
            f"{path} was trained with the front end {description}, this config's "
            f"{side}_front_end is {front_end.describe()}: give the {side} tower's checkpoint, or "
            "use the same front end for both trainings."
        )
    for layer, stage in enumerate(stages, start=1):
        expected = tuple(stage.conv.weight.shape)
        kernels = weights.get(f"stages.{layer - 1}.conv.weight")
        if kernels is None or tuple(kernels.shape) != expected:
            there = "missing" if kernels is None else "x".join(map(str, kernels.shape))
            raise CheckpointError(
                f"{path}: conv{layer} is {there} (filters x channels x bins x frames), the {side} "
                f"tower's is {'x'.join(map(str, expected))}: give a checkpoint of a tower with the "
                "same stages, or name fewer layers."
            )
    copied = []
    for layer, stage in enumerate(stages, start=1):
        own = stage.state_dict()
        prefix = f"stages.{layer - 1}."
        found = {name: weights[prefix + name] for name in own if prefix + name in weights}
        stage.load_state_dict({**own, **found})
        shape, norm = list(found["conv.weight"].shape), "norm.weight" in found
        told = {"side": side, "layer": layer, "shape": shape, "batch_norm": norm, "path": str(path)}
        copied.append(told)
    return copied


def _read_tower(path: Path, side: Side) -> tuple[Mapping[str, Tensor], Mapping[str, Any] | None]:
    """Return a tower's weights, named as in its state dict, and its front end where it is known."""
    if not path.is_file():
        made = PRE_TRAININGS[side]
        raise CheckpointError(
            f"No checkpoint at {path}, from which the {side} tower is to start: train it with "
            f"`vocalsketch fit --config conf/{made}.yaml --run_dir runs/{made}`, or name another "
            f"in --model.init_args.transfer.{side} or in the environment variable "
            f"{side.upper()}_TOWER."
        )
    if path.suffix.lower() in KERAS_SUFFIXES:
        return read_authors_tower(path, side), None
    saved, weights = read_saved(path)
    with description_used(path):
        described = saved["description"]
        system = described.get("system")
        if system == "classifier":
            prefix, front_end = "tower.", described["front_end"]
        elif system == "siamese":
            prefix, front_end = f"{side}_tower.", described["front_ends"][side]
        else:
            raise CheckpointError(
                f"{path} holds {system or 'something unknown'!r}, no tower that can be copied: "
                "give a checkpoint of conf/pretrain_voxforge.yaml or "
                "conf/pretrain_urbansound8k.yaml."
            )
    of_tower = {
        name.removeprefix(prefix): value.to(torch.float32) if value.is_floating_point() else value
        for name, value in weights.items()
        if name.startswith(prefix)
    }
    return of_tower, front_end
