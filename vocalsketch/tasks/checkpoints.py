"""Checkpoints: read without running anything in them, and checked before they are used."""

import hashlib
import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import CheckpointError, DamagedCheckpointError
from vocalsketch.features.front_end import FrontEnd, front_end_from
from vocalsketch.files import written_whole
from vocalsketch.models import Siamese, SiameseGeometry


@dataclass(frozen=True, eq=False)
class TrainedSiamese:
    """A trained network and the front ends it was trained with.

    Attributes:
        network: The network, in evaluation mode, on the CPU.
        front_ends: The front end of each side.
        corpus: Name of the corpus it was trained on.
        fingerprint: Short hash of geometry, weights and front ends.
    """

    network: Siamese
    front_ends: Mapping[Side, FrontEnd]
    corpus: str
    fingerprint: str


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint's plain values and tensors; nothing in it is run.

    Raises:
        CheckpointError: It is missing, or cannot be read.
        DamagedCheckpointError: It is damaged, or holds more than plain values and tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"No checkpoint at {path}: check the path.")
    try:
        _check_stored(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path} cannot be read ({reason}): check it.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        # torch's own message advises to load it unsafely
        raise DamagedCheckpointError(
            f"{path} is no checkpoint that can be read safely: it is damaged, or was not made by "
            "`vocalsketch fit`."
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise DamagedCheckpointError(
            f"{path} holds no state_dict: give a checkpoint made by a fit."
        )
    for name, value in checkpoint["state_dict"].items():
        if not _is_whole(value):
            raise DamagedCheckpointError(
                f"{path}: {name} is no tensor that holds all of its numbers: the checkpoint was "
                "not made by `vocalsketch fit`."
            )
    return cast("dict[str, Any]", checkpoint)


def description_of(path: Path, checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a checkpoint says of its network; to be used within ``description_used``.

    Raises:
        CheckpointError: It says nothing.
    """
    made = checkpoint.get("vocalsketch", {})
    if not isinstance(made, dict):
        raise CheckpointError(f"{path} does not say what it holds: give a checkpoint of a fit.")
    return made


@contextmanager
def description_used(path: Path) -> Iterator[None]:
    """Turn what goes wrong where a checkpoint's description is damaged into one clear error.

    Raises:
        CheckpointError: A value of it is missing, or of another type than it must be.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: what it says of its network cannot be used ({type(error).__name__}: "
            f"{error}): it is damaged, or was not made by `vocalsketch fit`."
        ) from error


def write_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    # to memory first: of a full disk torch says less than the system does
    buffer = io.BytesIO()
    torch.save(dict(checkpoint), buffer)
    with written_whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_siamese(path: Path) -> TrainedSiamese:
    """Load a trained IMINET or TL-IMINET, ready to embed and score.

    Raises:
        CheckpointError: The checkpoint cannot be read, or is of something else.
    """
    checkpoint = read_checkpoint(path)
    made = description_of(path, checkpoint)
    if made.get("system") != "siamese":
        raise CheckpointError(
            f"{path} holds no Siamese network but {made.get('system', 'something unknown')!r}: "
            "give a checkpoint of IMINET or TL-IMINET."
        )
    prefix = "network."
    weights = {
        name.removeprefix(prefix): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    with description_used(path):
        geometry = SiameseGeometry.from_dict(made["geometry"])
        with torch.device("meta"):  # whose memory is nobody's, however large the geometry
            check_weights(path, Siamese(geometry), weights)
        network = Siamese(geometry)
        front_ends = {side: front_end_from(made["front_ends"][side]) for side in SIDES}
        corpus = str(made["corpus"])
    network.load_state_dict(weights)
    return TrainedSiamese(network.eval(), front_ends, corpus, fingerprint_of(weights, front_ends))


def fingerprint_of(weights: Mapping[str, Tensor], front_ends: Mapping[Side, FrontEnd]) -> str:
    """Return a short hash of weights and front ends: what every stored embedding depends on."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().cpu().contiguous().numpy().tobytes())
    for side in SIDES:
        digest.update(front_ends[side].fingerprint.encode())
    return digest.hexdigest()[:16]


def check_fits(path: Path, module: nn.Module) -> None:
    """Check that a checkpoint's weights are those of a module, before they are loaded.

    Raises:
        CheckpointError: It cannot be read, or a weight is missing, unknown or of another shape.
    """
    check_weights(path, module, read_checkpoint(path)["state_dict"])


def check_weights(path: Path, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Check that weights are those of a module.

    Raises:
        CheckpointError: One is missing, unknown or of another shape.
    """
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected == found:
        return
    name = next(
        name
        for name in (*expected, *found)
        if expected.get(name, "nothing") != found.get(name, "nothing")
    )
    raise CheckpointError(
        f"{path} is of another architecture: {name} is {found.get(name, 'missing')} there, and "
        f"{expected.get(name, 'missing')} in this config. Use the config it was trained with "
        "(config.yaml in its run's folder)."
    )


def _check_stored(path: Path) -> None:
    """Refuse an archive with compressed members: torch makes none, and they may be of any size."""
    if not zipfile.is_zipfile(path):
        return  # of the old format, which is read as it stands
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise DamagedCheckpointError(
                f"{path} is compressed, which no checkpoint of `vocalsketch fit` is."
            )


def _is_whole(value: object) -> bool:
    """Whether a value is a tensor that takes no more memory when it is copied than it does now."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()
