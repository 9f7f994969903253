"""The towers that the paper's authors released, as Keras saved them under Theano.

They are in the repository AirLab-UR/TL-IMINET-web: ``with_pretrain_asym_imi.h5`` and
``with_pretrain_asym_rec.h5`` hold a tower each, ``with_pretrain_asym_metric.h5`` both.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vocalsketch.domain import Side
from vocalsketch.errors import CheckpointError

CONVOLUTIONS = {"imitation": "lid_conv_", "recording": "nyu_conv_"}
PARTS = {"imitation": "model_1", "recording": "model_2"}  # of a file that holds both towers
NORMALISATIONS = "batch_normalization_"
LARGEST = 2**26  # numbers in an array; a tower has not a hundredth of them
NORM_NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
Layers = dict[str, dict[str, np.ndarray]]


def read_authors_tower(path: Path, side: Side) -> dict[str, Tensor]:
    """Return the weights of a released tower, named and laid out as ``Tower``'s state dict.

    Theano's convolution turns the kernel, PyTorch's does not: kernels saved under Theano are
    turned by 180 degrees.

    Raises:
        CheckpointError: The file is missing, is not HDF5, or does not hold that tower.
    """
    layers, backend = _read(path, side)
    stages, norms = _numbered(layers, CONVOLUTIONS[side]), _numbered(layers, NORMALISATIONS)
    if not stages or len(norms) not in (0, len(stages)):
        raise CheckpointError(
            f"{path} does not hold the {side} tower (layers {CONVOLUTIONS[side]}1, ... each with "
            f"a {NORMALISATIONS}N, or none): it holds {', '.join(sorted(layers)) or 'nothing'}."
        )
    weights: dict[str, np.ndarray] = {}
    try:
        for number, arrays in enumerate(stages):
            kernel = arrays["kernel"].transpose(3, 2, 0, 1)  # to (out, in, bins, frames)
            kernel = kernel[:, :, ::-1, ::-1] if backend == "theano" else kernel
            weights[f"stages.{number}.conv.weight"] = kernel
            weights[f"stages.{number}.conv.bias"] = arrays["bias"]
        for number, arrays in enumerate(norms):
            for theirs, ours in NORM_NAMES.items():
                weights[f"stages.{number}.norm.{ours}"] = arrays[theirs]
            weights[f"stages.{number}.norm.num_batches_tracked"] = np.array(0)
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: an array of the {side} tower is missing or misshapen ({error}): get the file "
            "again."
        ) from error
    return {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}


def _read(path: Path, side: str) -> tuple[Layers, str]:
    """Return each layer's arrays by name, and the backend under which they were saved."""
    if not path.is_file():
        raise CheckpointError(f"No weights at {path}: check the path.")
    import h5py  # here, as every command that knows a tower would wait for it

    layers: Layers = defaultdict(dict)

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and item.size <= LARGEST:
            *_, layer, array = name.split("/")
            layers[layer][array.partition(":")[0]] = np.asarray(item, dtype=np.float32)

    try:
        with h5py.File(path) as file:
            backend = file.attrs.get("backend", "")
            part = file.get(PARTS[side], file)
            if isinstance(part, h5py.Group):
                part.visititems(keep)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is no HDF5 file, or damaged ({error}).") from error
    return layers, backend.decode() if isinstance(backend, bytes) else str(backend)


def _numbered(layers: Layers, prefix: str) -> list[dict[str, np.ndarray]]:
    """Return the arrays of layers whose names are the prefix and a number, in their order."""
    numbers = (name.removeprefix(prefix) for name in layers if name.startswith(prefix))
    return [
        layers[f"{prefix}{number}"] for number in sorted(filter(str.isdecimal, numbers), key=int)
    ]
