"""What the page searches: indexes, and libraries whose index is kept up to date while it runs."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vocalsketch.errors import ConfigError, DatasetError, StorageError, VocalSketchError
from vocalsketch.search import Index, Searcher, build_index
from vocalsketch.search.library import index_of
from vocalsketch.search.segment import Manifest
from vocalsketch.systems import System, load_system

RESCAN = 60.0  # seconds between two looks for new and removed files


class Systems:
    """Indexes that were opened, and the ways to search them: of one library they fuse.

    Args:
        indexes: In their order, by which addresses of sounds name them.
        missing: Those that could not be opened, and why.
    """

    searchers: dict[str, Searcher]  # each index, then all, by name
    apart = ""  # why they cannot be searched together; empty where they can

    def __init__(self, indexes: Sequence[Index], missing: Mapping[str, str]) -> None:
        self.indexes = tuple(indexes)
        names = _names(indexes)
        self.searchers = {
            name: Searcher([index], missing=missing)
            for name, index in zip(names, indexes, strict=True)
        }
        if len(indexes) > 1:
            one_library = len({index.library.resolve() for index in indexes}) == 1
            try:
                together = Searcher(indexes, fuse=one_library, missing=missing)
                self.searchers[" + ".join(names)] = together
            except ConfigError as error:
                self.apart = str(error)

    @property
    def notes(self) -> list[str]:
        """What a visitor has to know of the answers."""
        ways = self.searchers.values()
        missing = {folder: why for each in ways for folder, why in each.missing.items()}
        lacking = [
            f"Answers are partial: {each} is missing ({why})" for each, why in missing.items()
        ]
        return list(dict.fromkeys(filter(None, [self.apart, *(w.note for w in ways), *lacking])))

    def searcher(self, name: str) -> Searcher:
        """Return the way to search that the page calls ``name``; the first where it is empty.

        Raises:
            ConfigError: There is none of this name.
        """
        name = name or next(iter(self.searchers), "")
        if name not in self.searchers:
            choices = " or ".join(self.searchers) or "none is ready yet"
            reason = f"There is no system {name[:80]!r}: choose {choices}."
            raise ConfigError(f"{reason} {self.apart}".strip())
        return self.searchers[name]

    def library(self, number: int) -> Index:
        """Return an index by the number that addresses of its sounds have.

        Raises:
            DatasetError: There is none of this number.
        """
        if number >= len(self.indexes):
            raise DatasetError(f"There is no library {number}: search again.")
        return self.indexes[number]


@dataclass
class Upkeep:
    """How far an index is behind its library."""

    library: str  # the folder's name
    running: bool = False  # whether it is being brought up to date now
    done: int = 0  # sounds embedded in this run
    total: int = 0  # sounds to embed in this run
    skipped: dict[str, int] = field(default_factory=dict)  # files that cannot be used, by reason
    error: str = ""  # why it could not be brought up to date; empty where it could

    def progressed(self, done: int, total: int) -> None:
        """Note how far this run is."""
        self.done, self.total = done, total


class Libraries:
    """The systems as their folders have them now; may be used by several threads at once.

    Args:
        indexes: Folders or addresses of indexes that somebody else builds; one that is missing
            is looked for again every ``RESCAN`` seconds.
        libraries: Folders of sounds, indexed in the cache folder, and looked at again every
            ``RESCAN`` seconds from ``start`` on.
        system: What listens in the libraries.

    Raises:
        StorageError: The indexes are missing or damaged.
    """

    def __init__(
        self,
        indexes: Sequence[Path | str] = (),
        libraries: Sequence[Path] = (),
        system: str = "default",
    ) -> None:
        places = (
            str(each).rstrip("/") if "://" in str(each) else Path(each).resolve()
            for each in indexes
        )
        self._folders = list(dict.fromkeys(places))
        self._system: System | None = load_system(system) if libraries else None
        mark = self._system.fingerprint if self._system else ""
        self._kept = {each: index_of(each, mark) for each in dict.fromkeys(libraries)}
        self.upkeep = [Upkeep(each.resolve().name) for each in self._kept]
        self._lock = threading.Lock()
        self._missing: dict[str, str] = {}
        self._next_look = 0.0  # for what is missing
        self._systems = Systems((), {})
        if not self.now().indexes and self._missing and not libraries:
            raise StorageError(" ".join(self._missing.values()))

    def start(self) -> None:
        """Bring the libraries' indexes up to date, now and from time to time, in the background."""
        if self._kept:
            threading.Thread(target=self._keep_up, daemon=True, name="upkeep").start()

    def now(self) -> Systems:
        """Return the current systems, with each index opened again of which there is a new version.

        An index that cannot be read at the moment stays as it was, and is tried again next time.
        """
        with self._lock:
            due = time.monotonic() > self._next_look
            self._next_look = time.monotonic() + RESCAN if due else self._next_look
            wanted = [
                *(each for each in self._folders if due or str(each) not in self._missing),
                *(each for each in self._kept.values() if Manifest.exists(each)),
            ]
            known = {index.address or str(index.folder): index for index in self._systems.indexes}
            opened = [self._opened(folder, known.get(str(folder))) for folder in wanted]
            indexes = [index for index in opened if index is not None]
            if tuple(indexes) != self._systems.indexes:
                for index in indexes:
                    self._missing.pop(index.address or str(index.folder), None)
                self._systems = Systems(indexes, self._missing)
            return self._systems

    def _opened(self, folder: Path | str, known: Index | None) -> Index | None:
        try:
            if known is not None and known.is_current():
                return known
            return Index.open(folder)
        except VocalSketchError as error:  # a build replaces it, or a disk is away
            if known is None and folder in self._folders:
                self._missing[str(folder)] = str(error)
            return known

    def _keep_up(self) -> None:
        while True:
            self.bring_up_to_date()
            time.sleep(RESCAN)

    def bring_up_to_date(self) -> None:
        """Bring every library's index up to date."""
        for state, (library, index) in zip(self.upkeep, self._kept.items(), strict=True):
            state.running, state.done, state.total = True, 0, 0
            try:
                report = build_index(library, index, self._system, progress=state.progressed)
                state.error = ""
                state.skipped = dict(Counter(report.manifest.skipped.values()))
            except VocalSketchError as error:
                state.error = str(error)
            finally:
                state.running = False


def _names(indexes: Sequence[Index]) -> list[str]:
    """Name indexes after their folders, with as much of the path as tells them apart."""
    folders = [Path(index.folder).resolve().parts for index in indexes]
    lengths = range(1, max(map(len, folders), default=1) + 1)
    names = (["/".join(parts[-length:]) for parts in folders] for length in lengths)
    return max(names, key=lambda each: len(set(each)))
