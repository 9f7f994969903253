"""What a config may name: a stranger's config must not choose which code is imported or run."""

import os
import re

import jsonargparse

from vocalsketch.errors import ConfigError

# lightning_fabric is where pytorch_lightning keeps some of what it offers under its own name
NAMEABLE = ("vocalsketch", "pytorch_lightning", "lightning_fabric", "torch.optim")
EXTENSIONS = "VOCALSKETCH_EXTENSIONS"  # further packages, parted by commas


def restrict_parser() -> None:
    """Let the parser import nothing but what may be named, and build only what a type asks for.

    By itself it imports whatever a ``class_path`` names before it looks at the type, builds any
    class where a type accepts anything, and reads further configs from other machines.

    Raises:
        ConfigError: ``VOCALSKETCH_EXTENSIONS`` holds something that is no package's name.
    """
    jsonargparse.set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*NAMEABLE, *extensions()],
        instantiate_subclass_spec_in_any=False,
        config_read_mode_fsspec_enabled=False,
    )


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
