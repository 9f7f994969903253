"""Packages of the user's own whose classes configs and checkpoints may name."""

import os
import re

from vocalsketch.errors import ConfigError

EXTENSIONS = "VOCALSKETCH_EXTENSIONS"  # packages, parted by commas


def extensions() -> list[str]:
    """Return the packages that the user trusts beside those that come with the program.

    Raises:
        ConfigError: One is no package's name.
    """
    named = [each.strip() for each in os.environ.get(EXTENSIONS, "").split(",") if each.strip()]
    for name in named:
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
            raise ConfigError(
                f"{EXTENSIONS} holds {name!r}, which is no package's name: give names such as "
                "mypackage, parted by commas."
            )
    return named


def is_extension(path: str) -> bool:
    """Return whether an import path, such as ``mypackage.module.Class``, lies in one of them.

    Raises:
        ConfigError: As ``extensions``.
    """
    return any(path.startswith(f"{package}.") for package in extensions())
