"""What a config may name: a stranger's config must not choose which code is imported or run."""

import jsonargparse

from vocalsketch.systems.registry import extensions

# lightning_fabric is where pytorch_lightning keeps some of what it offers under its own name
NAMEABLE = ("vocalsketch", "pytorch_lightning", "lightning_fabric", "torch.optim")

_allowed: set[str] = set()  # extensions, in this process so far: the parser's lists only grow


def restrict_parser() -> None:
    """Let the parser import nothing but what may be named, and build only what a type asks for.

    By itself it imports whatever a ``class_path`` names before it looks at the type, builds any
    class where a type accepts anything, and reads further configs from other machines.

    Raises:
        ConfigError: ``VOCALSKETCH_EXTENSIONS`` holds something that is no package's name.
    """
    trusted = extensions()
    jsonargparse.set_parsing_settings(
        import_path_denylist=["*", *sorted(_allowed.difference(trusted, NAMEABLE))],
        import_path_allowlist=[*NAMEABLE, *trusted],
        instantiate_subclass_spec_in_any=False,
        config_read_mode_fsspec_enabled=False,
    )
    _allowed.update(trusted)
