"""Systems and checkpoints read back: nothing in them is run, and all is checked before use.

A CheckpointError says what cannot be used, a DamagedCheckpointError what cannot be read.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from vocalsketch.errors import CheckpointError, DamagedCheckpointError
from vocalsketch.files import write_bytes
from vocalsketch.systems.registry import SYSTEMS, class_named, is_extension
from vocalsketch.systems.system import System

Module = TypeVar("Module", bound=nn.Module)

PREFIX = "system."  # of a system's weights in a checkpoint of a fit

SAVED = "system.safetensors"  # in a folder
DEFAULT = Path(__file__).with_name("default.safetensors")  # docs/default-system.md


def load_system(spec: Path | str) -> System:
    """Load a system, ready to embed and score, on the CPU.

    Args:
        spec: A file that ``System.save`` wrote, a folder in which one lies as
            ``system.safetensors`` (an index, or what ``adapt`` made), a checkpoint of a fit, or the
            name of a system that needs no training, such as ``contours``; ``default`` is the one of
            whoever names none.

    Raises:
        CheckpointError: There is no such file, or it cannot be read or holds no system.
        ConfigError: It holds a system or a front end that this program does not know, or of a
            package that is not trusted; or a name is of a system that has to be trained.
    """
    name = str(spec)
    path = DEFAULT if name == "default" else Path(spec)
    path = path / SAVED if path.is_dir() else path
    if path.is_file():
        made, weights = read_saved(path)
        with description_used(path):
            described = made["description"]
            kind = class_named(described["system"], SYSTEMS, System)  # type: ignore[type-abstract]
            system = rebuilt(path, lambda: kind.from_description(described), weights)
            system.provenance = dict(made["provenance"])
            return system
    if name in SYSTEMS or is_extension(name):
        return class_named(name, SYSTEMS, System).untrained().eval()  # type: ignore[type-abstract]
    raise CheckpointError(
        f"No system at {path}: give a checkpoint of a fit, a file of a saved system, or the name "
        "of one that needs no training, such as contours."
    )


def read_saved(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
    """Return what a saved system or a checkpoint of a fit says of itself, and its own weights."""
    checkpoint = read_checkpoint(path)
    prefix = "network." if "classes" in description_of(path, checkpoint) else PREFIX
    weights = checkpoint["state_dict"]
    if not _is_safetensors(path):
        names = [name for name in weights if name.startswith(prefix)]
        weights = {name.removeprefix(prefix): weights[name] for name in names}
    return checkpoint["vocalsketch"], weights


def rebuilt(path: Path, build: Callable[[], Module], weights: Mapping[str, Tensor]) -> Module:
    """Build a module with a file's weights, in evaluation mode."""
    with torch.device("meta"):  # whose memory is nobody's, however large the description
        check_weights(path, build(), weights)
    module = build()
    module.load_state_dict(weights)
    return module.eval()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read the plain values and tensors of a checkpoint, or of a saved system."""
    checkpoint = _read(path)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise DamagedCheckpointError(
            f"{path} holds no state_dict: give a checkpoint made by a fit."
        )
    _check_whole(path, checkpoint["state_dict"])
    return cast("dict[str, Any]", checkpoint)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a network's weights by name, of a safetensors file or one of torch's."""
    weights = _read(path)
    weights = weights.get("state_dict", weights) if isinstance(weights, dict) else {"": weights}
    _check_whole(path, weights)
    return cast("dict[str, Tensor]", weights)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"No checkpoint at {path}: check the path.")
    _check_stored(path)
    try:
        if _is_safetensors(path):
            with safetensors.safe_open(path, "pt") as file:
                told = json.loads((file.metadata() or {}).get("vocalsketch", "null"))
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
                return {"vocalsketch": told, "state_dict": weights}
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path} cannot be read ({reason}): check it.") from error
    except Exception as error:  # torch stumbles in many ways, and advises to load it unsafely
        raise DamagedCheckpointError(
            f"{path} is no checkpoint that can be read safely: it is damaged, or was not made by "
            "`vocalsketch fit`."
        ) from error


def _check_whole(path: Path, weights: Mapping[str, Any]) -> None:
    """Refuse what is no tensor, or one that takes more memory when it is copied than it does."""
    for name, value in weights.items():
        if (
            not isinstance(value, Tensor)
            or value.layout is not torch.strided
            or value.numel() * value.element_size() > value.untyped_storage().nbytes()
        ):
            raise DamagedCheckpointError(
                f"{path}: {name} is no tensor that holds all of its numbers: the checkpoint was "
                "not made by `vocalsketch fit`."
            )


def description_of(path: Path, checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a checkpoint says of its network; to be used within ``description_used``."""
    made = checkpoint.get("vocalsketch")
    described = made.get("description") if isinstance(made, dict) else None
    if not isinstance(described, dict):
        raise CheckpointError(f"{path} does not say what it holds: give a checkpoint of a fit.")
    return described


@contextmanager
def description_used(path: Path | str) -> Iterator[None]:
    """Turn what goes wrong where a checkpoint's description is damaged into one clear error."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: what it says of its network cannot be used ({type(error).__name__}: "
            f"{error}): it is damaged, or was not made by `vocalsketch fit`."
        ) from error


def write_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    # to memory first: of a full disk torch says less than the system does
    buffer = io.BytesIO()
    torch.save(dict(checkpoint), buffer)
    write_bytes(path, buffer.getbuffer())


def check_fits(path: Path, module: nn.Module) -> None:
    """Check that a checkpoint is of what a module trains, before its weights are loaded."""
    checkpoint = read_checkpoint(path)
    system = getattr(module, "system", None)
    if isinstance(system, System):
        with description_used(path):
            system.require(path, description_of(path, checkpoint))
    check_weights(path, module, checkpoint["state_dict"])


def check_weights(
    path: Path,
    module: nn.Module,
    weights: Mapping[str, Tensor],
    remedy: str = "Use the config it was trained with (config.yaml in its run's folder).",
) -> None:
    """Check that weights are those of a module: none missing, unknown or of another shape."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in (*expected, *found):
        theirs, ours = (each.get(name, "missing") for each in (found, expected))
        if theirs != ours:
            raise CheckpointError(
                f"{path} is of another architecture: {name} is {theirs} there, and {ours} here. "
                f"{remedy}"
            )


def _check_stored(path: Path) -> None:
    """Refuse an archive with compressed members: torch makes none, and they may be of any size."""
    with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise DamagedCheckpointError(
                f"{path} is compressed, which no checkpoint of `vocalsketch fit` is."
            )


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as one: the header's length in 8 bytes, and the header, JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"
