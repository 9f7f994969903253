"""A config as nested mappings: read from YAML, checked, changed by dotted key, written."""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from vocalsketch.errors import ConfigError
from vocalsketch.files import read_regular

Tree = dict[str, Any]

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # what pydantic calls a strange key


def read_tree(paths: Sequence[Path]) -> Tree:
    """Read configs, each laid over the ones before it."""
    return reduce(_laid_over, map(read_mapping, paths), {})


def read_mapping(path: Path) -> Tree:
    """Read one YAML file that holds a mapping; ``${...}`` stays as written.

    Raises:
        ConfigError: It cannot be read, is no YAML, holds no mapping, has a key twice, or its
            aliases stand for thousands of values.
    """
    try:
        text = read_regular(path).decode("utf-8-sig")
        content = OmegaConf.to_container(OmegaConf.create(text))
    except OSError as error:
        raise ConfigError(f"Cannot read {path} ({error.strerror}): check the path.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} is not UTF-8 (line {line}): save it as UTF-8.") from error
    except (yaml.YAMLError, OmegaConfBaseException, AssertionError) as error:
        raise ConfigError(f"{path} is no YAML that can be read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds {type(content).__name__}, not keys and values.")
    return content  # type: ignore[return-value]  # whose keys are texts


def write_tree(tree: Tree) -> str:
    """Return the config as YAML, keys in order, no aliases."""
    return OmegaConf.to_yaml(OmegaConf.create(tree))


def assigned(tree: Tree, values: Mapping[str, Any]) -> Tree:
    """Return a copy with the values at their dotted keys.

    A number in a key is an index into a list: ``stages.0.filters``. Another ``class_path`` drops
    the ``init_args`` of the class that was there. Class paths are set first.

    Raises:
        ConfigError: A key leads past the end of a list.
    """
    config = OmegaConf.create(tree)
    for key in sorted(values, key=lambda key: not key.endswith("class_path")):
        parent, _, last = key.rpartition(".")
        if last == "class_path" and OmegaConf.select(config, key) != values[key]:
            (OmegaConf.select(config, parent) or {}).pop("init_args", None)
        try:
            OmegaConf.update(config, key, values[key], merge=False, force_add=True)
        except (TypeError, ValueError, OmegaConfBaseException) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"Config key {key!r} leads nowhere: {reason}.") from error
    return OmegaConf.to_container(config)  # type: ignore[return-value]  # a mapping, as it was


def values_of(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every dotted key and its value, of mappings and lists as well as of what they hold.

    >>> dict(values_of({"a": {"b": [1]}}))
    {'a': {'b': [1]}, 'a.b': [1], 'a.b.0': 1}
    """
    children = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for name, child in children:
        yield f"{prefix}{name}", child
        if isinstance(child, dict | list):
            yield from values_of(child, f"{prefix}{name}.")


def _laid_over(below: Tree, above: Tree) -> Tree:
    merged = dict(below)
    if "class_path" in above and above["class_path"] != below.get("class_path"):
        merged.pop("init_args", None)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(under, dict) and isinstance(value, dict):
            merged[key] = _laid_over(under, value)
        else:
            merged[key] = value
    return merged


def remedy(name: str, known: Collection[str]) -> str:
    """Return the known name that is nearest to an unknown one, else all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."


def invalid(error: ValidationError, what: str, known: Collection[str]) -> ConfigError:
    """Return the first thing that pydantic found wrong as one clear error.

    ``what`` names what was read, ``known`` the keys that it may have.
    """
    found = error.errors()
    first = next((each for each in found if each["type"] in UNKNOWN), found[0])
    key, said = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    if first["type"] in UNKNOWN and len(first["loc"]) == 1:
        return ConfigError(f"No key {key!r} in {what}: {remedy(key, known)}")
    if first["type"] in ("missing", "missing_argument"):
        return ConfigError(f"{what} has no {key!r}.")
    where = f"{key} is {first['input']!r}: " if key else ""
    return ConfigError(f"{what}: {where}{said}.")
