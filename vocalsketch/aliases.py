"""YAML aliases: short to write, and endless where each stands for many of another."""

from pathlib import Path

import yaml

from vocalsketch.errors import ConfigError

MOST_VALUES = 100_000  # with every alias written out; a config has some hundred


def refuse_endless(path: Path) -> None:
    """Refuse a YAML file whose aliases stand for more values than any config has.

    What cannot be read, or is no YAML at all, is left to those who use it.

    Raises:
        ConfigError: They do.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    if node is not None and _size(node, {}) > MOST_VALUES:
        raise ConfigError(
            f"{path} stands for more than {MOST_VALUES:,} values where its aliases (*name) are "
            "written out: write what they stand for."
        )


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many values a node stands for; infinitely many where it stands in itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            children = [each for pair in node.value for each in pair]
        known[id(node)] = 1 + sum(_size(child, known) for child in children)
    return known[id(node)]
