"""One YAML file of a config or a study: what is refused before anything is made of it."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from vocalsketch.datasets.tables import encoding_of
from vocalsketch.errors import ConfigError
from vocalsketch.files import read_regular

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
