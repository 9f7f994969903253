"""Which systems and front ends there are, and of whose packages a file may name others."""

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd

EXTENSIONS = "VOCALSKETCH_EXTENSIONS"  # packages, parted by commas

Class = TypeVar("Class")

SYSTEMS = {
    "siamese": "vocalsketch.systems.siamese.Siamese",
    "imisound": "vocalsketch.systems.baselines.Imisound",
    "contours": "vocalsketch.systems.baselines.Contours",
    "dual_encoder": "vocalsketch.systems.dual_encoder.DualEncoder",
    "two_dft": "vocalsketch.systems.baselines.TwoDFT",
    "ensemble": "vocalsketch.systems.ensemble.Ensemble",
}
FRONT_ENDS = {
    "AudibleMel": "vocalsketch.features.audible_mel.AudibleMel",
    "CompressedMel": "vocalsketch.features.audible_mel.CompressedMel",
    "CQT": "vocalsketch.features.cqt.CQT",
    "LogMel": "vocalsketch.features.mel.LogMel",
    "ImitationLogMel": "vocalsketch.features.mel.ImitationLogMel",
    "PreemphasisedMel": "vocalsketch.features.mel.PreemphasisedMel",
    "RecordingLogMel": "vocalsketch.features.mel.RecordingLogMel",
    "Waveform": "vocalsketch.features.front_end.Waveform",
    "ContourFeatures": "vocalsketch.features.contours.ContourFeatures",
}


def extensions() -> list[str]:
    """Return the packages that the user trusts beside those that come with the program."""
    named = os.environ.get(EXTENSIONS, "").split(",")
    return [each.strip() for each in named if each.strip()]


def is_extension(path: str) -> bool:
    """Return whether an import path, such as ``mypackage.module.Class``, lies in one of them."""
    return any(path.startswith(f"{package}.") for package in extensions())


def class_named(name: object, known: Mapping[str, str], kind: type[Class]) -> type[Class]:
    """Return a class by a name that is known, or an import path in a package that the user trusts.

    Raises:
        ConfigError: There is none of this kind, or its package is not trusted.
    """
    if isinstance(name, str) and (name in known or is_extension(name)):
        module, _, attribute = known.get(name, name).rpartition(".")
        found = getattr(import_module(module), attribute, None)
        if isinstance(found, type) and issubclass(found, kind):
            return found
    what = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
    raise ConfigError(
        f"Unknown {what} {name!r}: choose one of {', '.join(known)}. If it is of a "
        f"package of your own that you trust, name that package in {EXTENSIONS}."
    )


def name_of(kind: type[object], known: Mapping[str, str]) -> str:
    """Return the name by which ``class_named`` finds a class."""
    path = f"{kind.__module__}.{kind.__qualname__}"
    return next((name for name, own in known.items() if own == path), path)


def front_end_from(description: Mapping[str, object]) -> FrontEnd:
    """Rebuild a front end from what ``describe()`` returned, as a checkpoint holds it.

    Raises:
        ConfigError: Class, version, or a parameter's name, type or value is none that it has.
    """
    kind = class_named(description.get("class"), FRONT_ENDS, FrontEnd)  # type: ignore[type-abstract]
    version = description.get("version")
    if version != kind.VERSION:
        raise ConfigError(
            f"The front end {kind.__name__} is of version {version!r}, this program makes version "
            f"{kind.VERSION}: use the program that made the checkpoint, or train again."
        )
    parameters = {key: v for key, v in description.items() if key not in ("class", "version")}
    types: dict[str, Any] = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for name, value in parameters.items():
        if name not in types:
            raise ConfigError(
                f"{kind.__name__} has no parameter {name!r}: it takes {', '.join(types)}."
            )
        try:
            TypeAdapter(types[name]).validate_python(value, strict=True)
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            raise ConfigError(f"{kind.__name__}: {name} is {value!r}: {why}.") from error
    return kind(**parameters)
