"""What a config may name, and what is wrong with one in a sentence or two."""

import difflib
import inspect
import re
from collections.abc import Collection, Sequence
from importlib import import_module

import jsonargparse

from vocalsketch.errors import ConfigError
from vocalsketch.systems.registry import EXTENSIONS, extensions

DENIED = re.compile(r"Importing '([^']+)' is not allowed")
UNKNOWN_OPTION = re.compile(r"Option '([^']+)' is not accepted")
CLASS_PATH = re.compile(r"class_path '([^']+)'")
GIVEN = re.compile(r"^\s*Given value: (?!NestedArg)(.*)$", re.MULTILINE)
# the parser tries None as well wherever a value may be left out, and quotes the value whole
NOISE = re.compile(r"Expected a <class 'NoneType'>|Given value|Does not validate|Subtypes:|Errors:")
NOTHING_GIVEN = "the following arguments are required: data, model"
UNREADABLE = "Problems parsing config:"


def config_error(message: str, keys: Collection[str], configs: Sequence[str] = ()) -> ConfigError:
    """Return the parser's complaint as one clear error.

    Args:
        message: What the parser said.
        keys: The top-level keys that a config may have.
        configs: The config files that were given.
    """
    denied = DENIED.search(message)
    if denied:
        return ConfigError(
            f"The config names {denied[1]!r}, and may name only what lies in "
            f"{', '.join(NAMEABLE)}. If it is of a package of your own that you trust: "
            f"{EXTENSIONS}={denied[1].split('.')[0]}"
        )
    unknown = UNKNOWN_OPTION.search(message)
    if unknown:
        return _unknown_key(message, unknown, keys)
    if message.startswith(UNREADABLE):
        reason = " ".join(message.removeprefix(UNREADABLE).split())
        return ConfigError(f"{' or '.join(configs)} is no YAML that can be read: {reason}")
    if NOTHING_GIVEN in message:
        return ConfigError(
            "There is no experiment to run: give --config FILE, such as conf/iminet_tied.yaml."
        )
    lines = [line.strip(" -") for line in message.splitlines() if not NOISE.search(line)]
    given = GIVEN.search(message)
    lines += [f"Got value: {given[1]}"] if given and "Got value" not in message else []
    return ConfigError(" ".join(line for line in lines if line))


def _unknown_key(message: str, unknown: re.Match[str], keys: Collection[str]) -> ConfigError:
    key = unknown[1]
    key = key.split(".")[0] if key.split(".")[0] not in keys else key
    owner = CLASS_PATH.findall(message[: unknown.start()])
    known = _parameters(owner[-1]) if owner else sorted(keys)
    where = f" of {owner[-1]}" if owner else ""
    return ConfigError(f"No config key {key!r}{where}: {remedy(key, known)}")


def remedy(name: str, known: Collection[str]) -> str:
    """Return the known name that is nearest to an unknown one, else all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."


def _parameters(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    return list(inspect.signature(getattr(import_module(module), name)).parameters)


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
