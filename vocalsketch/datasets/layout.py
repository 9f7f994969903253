"""How a data set lies on disk: by what it is recognised, and what a folder lacks of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vocalsketch.datasets.records import Corpus, OnBadAudio

# A file of this name marks a synthesised data set in another one's layout.
DEMO_MARKER = "DEMO"


@dataclass(frozen=True)
class Layout:
    """A data set's layout, which recognises itself and explains itself.

    Attributes:
        name: What results are marked with, such as ``vimsketch``.
        title: What people call it.
        source: Where it is published.
        tree: How it must lie, for people to read.
        needs: What has to be there in any capitals, each a choice of patterns; a slash at the end
            means a folder.
        signs: What else tells that a folder was meant to be it.
        load: Reads it; None where it holds no vocal imitations.
        includes: Names of other data sets whose audio it holds too.
    """

    name: str
    title: str
    tree: str
    needs: tuple[tuple[str, ...], ...]
    source: str = ""
    signs: tuple[str, ...] = ()
    load: Callable[[Path, OnBadAudio], Corpus] | None = None
    includes: tuple[str, ...] = ()

    def missing(self, root: Path) -> list[str]:
        """Return what ``root`` lacks of what has to be there."""
        return [
            " or ".join(choice)
            for choice in self.needs
            if not any(_is_there(root, pattern) for pattern in choice)
        ]

    def recognises(self, root: Path) -> float:
        """Return the share of the layout that lies at ``root``: 1 is the data set, 0 is another."""
        lacking = len(self.missing(root))
        if not lacking:
            return 1.0
        signs = sum(_is_there(root, sign) for sign in self.signs)
        there = len(self.needs) - lacking + signs
        return there / (len(self.needs) + len(self.signs))

    def explain(self, root: Path) -> str:
        """Return what ``root`` lacks and how the data set must lie."""
        return (
            f"{root} is nearly {self.title}, but lacks {', '.join(self.missing(root))}. "
            f"{self.title} lies so: {self.tree}."
        )


def _is_there(root: str | Path, pattern: str) -> bool:
    part, slash, rest = pattern.lower().partition("/")
    try:
        with os.scandir(root) as entries:
            alike = [entry for entry in entries if fnmatchcase(entry.name.lower(), part)]
        if not slash:
            return any(entry.is_file() for entry in alike)
        return any(entry.is_dir() and (not rest or _is_there(entry.path, rest)) for entry in alike)
    except OSError:
        return False
