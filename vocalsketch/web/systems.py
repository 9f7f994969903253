"""What can be searched on the page: each index by itself, and the fusion of all."""

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.search import Index, Searcher


class Systems:
    """Indexes that were opened, and the ways to search them.

    Args:
        indexes: At least one.

    Attributes:
        indexes: In their order, by which addresses of sounds name them.
        searchers: By the name that the page shows: each index, then the fusion of all.
        apart: Why there is no fusion of several indexes; empty where there is one.

    Raises:
        ConfigError: There is no index.
    """

    def __init__(self, indexes: Sequence[Index]) -> None:
        if not indexes:
            raise ConfigError("There is no index to show: give at least one.")
        self.indexes = tuple(indexes)
        names = _names(indexes)
        self.searchers = {
            name: Searcher([index]) for name, index in zip(names, indexes, strict=True)
        }
        self.apart = ""
        if len(indexes) > 1:
            try:
                self.searchers[" + ".join(names)] = Searcher(indexes, fuse=True)
            except ConfigError as error:
                self.apart = str(error)

    @classmethod
    def open(cls, folders: Sequence[Path]) -> "Systems":
        """Open the indexes in these folders, each once.

        Raises:
            StorageError: One is missing or damaged.
            CheckpointError: One's system is missing, or not the one that made it.
        """
        return cls([Index.open(folder) for folder in dict.fromkeys(map(Path.resolve, folders))])

    def renewed(self) -> "Systems":
        """Return these systems, with each index opened again of which there is a new version.

        Raises:
            StorageError: An index is missing or damaged.
            CheckpointError: A system is missing, or not the one that made its index.
        """
        indexes = [
            index if index.is_current() else Index.open(index.folder) for index in self.indexes
        ]
        return self if indexes == [*self.indexes] else Systems(indexes)

    def searcher(self, name: object) -> Searcher:
        """Return the way to search that the page calls ``name``.

        Raises:
            ConfigError: There is none of this name.
        """
        if not isinstance(name, str) or name not in self.searchers:
            choices = " or ".join(self.searchers)
            reason = f"There is no system {str(name)[:80]!r}: choose {choices}."
            raise ConfigError(f"{reason} {self.apart}".strip())
        return self.searchers[name]

    def number_of(self, searcher: Searcher) -> int:
        """Return the place of the index whose library a searcher's hits lie in."""
        return self.indexes.index(searcher.indexes[0])

    def tags(self, most: int) -> list[str]:
        """Return the tags that most sounds have, in alphabetical order."""
        counts = Counter(
            tag for index in self.indexes for tags in index.table.column("tags") for tag in tags
        )
        return sorted(tag for tag, _ in counts.most_common(most))


class LiveSystems:
    """The systems as their folders have them now: a build that ends is searched from then on.

    It may be used by several threads at once.

    Args:
        systems: As they were opened.
    """

    def __init__(self, systems: Systems) -> None:
        self._systems = systems
        self._lock = threading.Lock()

    def now(self) -> Systems:
        """Return the current systems; the last that could be opened where an index is damaged."""
        with self._lock:
            with suppress(VocalSketchError):  # it is tried again at the next request
                self._systems = self._systems.renewed()
            return self._systems


def _names(indexes: Sequence[Index]) -> list[str]:
    """Name indexes after their folders, with as much of the path as tells them apart."""
    folders = [index.folder.resolve() for index in indexes]
    for parts in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-parts:]) for folder in folders]
        if len(set(names)) == len(names):
            break
    return names
