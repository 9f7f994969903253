"""A config as nested mappings: read, changed by dotted key, and what is wrong with one."""

import copy
import difflib
import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from vocalsketch.datasets.tables import encoding_of
from vocalsketch.errors import ConfigError
from vocalsketch.files import read_regular
from vocalsketch.systems.registry import EXTENSIONS, extensions

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
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    if node is None:
        return text
    if _size(node, {}) > MOST_VALUES:
        raise ConfigError(
            f"{path} stands for more than {MOST_VALUES:,} values where its aliases (*name) are "
            "written out: write what they stand for."
        )
    for key, first, second in _repeated(node, "", set()):
        raise ConfigError(
            f"{path} gives {key} twice, in lines {first} and {second}: the first would be lost. "
            "Keep one, or put both values under one key."
        )
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


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many values a node stands for; infinitely many where it stands in itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        known[id(node)] = 1 + sum(_size(child, known) for child in _children(node))
    return known[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _repeated(node: yaml.Node, prefix: str, seen: set[int]) -> Iterator[tuple[str, int, int]]:
    """Yield each key that stands twice in one mapping, with its lines."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if not isinstance(node, yaml.MappingNode):
        for number, child in enumerate(_children(node)):
            yield from _repeated(child, f"{prefix}{number}.", seen)
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if name in lines:
            yield name, lines[name], line
        lines[name] = line
        yield from _repeated(value, f"{name}.", seen)


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
