"""A config as nested mappings: reading, changing by dotted key, listing keys, writing."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config_file import read_config_text

Tree = dict[str, Any]


def read_tree(paths: Sequence[Path]) -> Tree:
    """Read configs, each laid over the ones before it; ``${...}`` stays as written.

    Raises:
        ConfigError: A file is missing, is no YAML, or holds no mapping.
    """
    tree: Tree = {}
    for path in paths:
        tree = _laid_over(tree, read_mapping(path))
    return tree


def read_mapping(path: Path) -> Tree:
    """Read one YAML file that holds a mapping.

    Raises:
        ConfigError: The file is missing, is no YAML, or holds no mapping.
    """
    try:
        content = yaml.safe_load(read_config_text(path))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds {type(content).__name__}, not keys and values.")
    return content


def write_tree(tree: Tree) -> str:
    """Return the config as YAML: keys in order, short lists on one line, no aliases."""
    return yaml.dump(tree, Dumper=_PlainDumper, sort_keys=False, default_flow_style=None)


def assigned(tree: Tree, values: Mapping[str, Any]) -> Tree:
    """Return a copy with the values at their dotted keys.

    A number in a key is an index into a list: ``stages.0.filters``. Another ``class_path`` drops
    the ``init_args`` of the class that was there. Class paths are set first.

    Raises:
        ConfigError: A key leads through a plain value, or past the end of a list.
    """
    changed = copy.deepcopy(tree)
    for key in sorted(values, key=lambda key: not key.endswith("class_path")):
        _assign(changed, key, copy.deepcopy(values[key]))
    return changed


def keys_of(tree: Any, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key, of mappings and lists as well as of what they hold.

    >>> list(keys_of({"a": {"b": [1]}}))
    ['a', 'a.b', 'a.b.0']
    """
    children = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for name, child in children:
        yield f"{prefix}{name}"
        if isinstance(child, dict | list):
            yield from keys_of(child, f"{prefix}{name}.")


def _assign(tree: Tree, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    node: Any = tree
    for name in parents:
        place = _place(node, name, key)
        if isinstance(node, dict) and node.get(place) is None:
            node[place] = {}
        node = node[place]
    place = _place(node, last, key)
    if last == "class_path" and node.get(place) != value:
        node.pop("init_args", None)
    node[place] = value


def _place(node: Any, name: str, key: str) -> Any:
    """Return what a part of a key is in a node: itself in a mapping, a number in a list."""
    if isinstance(node, dict):
        return name
    if not isinstance(node, list):
        raise ConfigError(f"Config key {key!r} leads into {node!r}, which is a plain value.")
    if not name.isdigit() or int(name) >= len(node):
        raise ConfigError(f"Config key {key!r}: {name!r} is no index into a list of {len(node)}.")
    return int(name)


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


class _PlainDumper(yaml.SafeDumper):
    """Writes a value that occurs twice twice, instead of as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
