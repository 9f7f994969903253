"""A config as nested mappings: read from YAML, checked, changed by dotted key, written."""

import copy
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vocalsketch.datasets.tables import encoding_of
from vocalsketch.errors import ConfigError
from vocalsketch.files import read_regular

Tree = dict[str, Any]

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # what pydantic calls a strange key
MOST_VALUES = 100_000  # with every alias written out; a config has some hundred


def read_config_text(path: Path) -> str:
    """Return the text of a YAML file; what is no YAML at all is left to those who parse it.

    Raises:
        ConfigError: It cannot be read, is not UTF-8, has a key twice in one mapping, or its aliases
            stand for more values than any config has.
    """
    try:
        text = _decoded(path, read_regular(path))
    except OSError as error:
        raise ConfigError(f"Cannot read {path} ({error.strerror}): check the path.") from error
    with suppress(yaml.YAMLError):
        _check_nodes(path, yaml.compose(text, Loader=yaml.SafeLoader))
    return text


def _decoded(path: Path, content: bytes) -> str:
    encoding = encoding_of(content).upper()
    try:
        if encoding.startswith(("UTF-8", "WINDOWS")):
            return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"in line {line} the byte 0x{content[error.start]:02x}"
        encoding = f"another encoding, such as Latin-1 or Windows-1252 ({found})"
    raise ConfigError(f"{path} is not UTF-8 but {encoding}: save it as UTF-8.")


def _check_nodes(path: Path, root: yaml.Node | None) -> None:
    """Look at every value that a document stands for, its aliases written out."""
    ahead, seen = [("", root)], 0
    while ahead:
        prefix, node = ahead.pop()
        seen += 1
        if seen > MOST_VALUES:
            raise ConfigError(
                f"{path} stands for more than {MOST_VALUES:,} values where its aliases (*name) "
                "are written out: write what they stand for."
            )
        if isinstance(node, yaml.SequenceNode):
            ahead += [(f"{prefix}{number}.", child) for number, child in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                name, line = f"{prefix}{key.value}", key.start_mark.line + 1
                if name in lines:
                    raise ConfigError(
                        f"{path} gives {name} twice, in lines {lines[name]} and {line}: the first "
                        "would be lost. Keep one, or put both values under one key."
                    )
                lines[name] = line
                ahead.append((f"{name}.", value))


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
    if first["type"] in UNKNOWN:
        return ConfigError(f"No key {key!r} in {what}: {remedy(key, known)}")
    if first["type"] in ("missing", "missing_argument"):
        return ConfigError(f"{what} has no {key!r}.")
    where = f"{key} is {first['input']!r}: " if key else ""
    return ConfigError(f"{what}: {where}{said}.")
