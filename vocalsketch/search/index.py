"""An index, opened for searching, and whether it is whole; what hears its queries."""

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import onnxruntime
import pyarrow.compute as pc
from numpy.typing import ArrayLike

import vocalsketch
from vocalsketch.domain import Kind, Side
from vocalsketch.errors import CheckpointError, DatasetError, StorageError
from vocalsketch.features.audio import ClipShape, clip_of
from vocalsketch.search.library import list_library, make_plan
from vocalsketch.search.query import Waveform
from vocalsketch.search.segment import FILE, SYSTEM, Floats, Manifest, Part, Table
from vocalsketch.spread.threads import available_cores

if TYPE_CHECKING:
    from vocalsketch.search.shard import Hit
    from vocalsketch.systems import Scorer, System

# the default system's model, with its fingerprint in the name
(SHIPPED,) = (Path(vocalsketch.__file__).parent / "systems").glob("default-*.onnx")
SHIPPED_FINGERPRINT = SHIPPED.stem.partition("-")[2]


class Wishes(TypedDict, total=False):
    """What a search may be given beside the query; see ``Searcher.search``."""

    tags: Sequence[str]
    text: str
    aspects: Mapping[str, float]
    trim: bool


class Index:
    """A library's sounds as one system hears them; ``Index.open(folder)`` opens one.

    Args:
        folder: Where it lies.
        library: Where the sounds lie now, if they were moved since.
        threads: That score; by default a core each.

    Raises:
        StorageError: There is no index, or it is damaged.
        CheckpointError: Its system is missing, or not the one that made it.
    """

    folder: Path | str  # where it lies; the text of an address
    address = ""  # of which the folder holds a copy
    manifest: Manifest  # its current version
    table: Table  # the rows, memory-mapped: a window each
    listener: "Ear | System"  # hears queries; an ear needs no torch
    libraries: Sequence[str] = (".",)  # folders within the library, out of which no file may lie
    approximate = False  # whether a query ranks only the rows that are near it
    version: int  # counts the builds that changed something
    fingerprint: str  # of the system
    corpus: str  # what the system was trained on
    sounds: int  # files
    windows: int  # of these files

    def __init__(
        self, folder: Path | str, library: Path | str | None = None, threads: int | None = None
    ) -> None:
        self.folder = Path(folder)
        self._stamp: tuple[int, int, int] | None = None
        self.manifest = Manifest.read(self.folder)
        self._use(self.manifest.open_table(self.folder), library, threads)

    def _use(self, table: Table, library: Path | str | None, threads: int | None) -> None:
        self.table = table
        for name in ("version", "fingerprint", "corpus", "sounds", "windows"):
            setattr(self, name, getattr(self.manifest, name))
        self.library = Path(library or self.manifest.library)
        self._threads = threads or available_cores()
        self.listener = ear_of(self.fingerprint) or self.system

    @classmethod
    def open(
        cls, folder: Path | str, library: Path | str | None = None, threads: int | None = None
    ) -> "Index":
        """Open an index, or what ``index export --to lance`` wrote, by its folder or address.

        Arguments and errors are the class's.
        """
        address = str(folder) if "://" in str(folder) else ""
        if address:
            from vocalsketch.search.remote import Remote

            remote = Remote(address)
            if remote.holds_index():
                found = cls(remote.pull(), library, threads)
                found.address = remote.address
                return found
        if address or (Path(folder) / "_versions").is_dir():
            from vocalsketch.search.lance import LanceIndex

            return LanceIndex(folder, library, threads)
        return cls(folder, library, threads)

    @cached_property
    def system(self) -> "System":
        """The system that embedded the library, loaded when it is asked for."""
        system = self._load()
        if system.fingerprint != self.fingerprint:
            raise CheckpointError(
                f"The index in {self.folder} was made by system {self.fingerprint}, but {SYSTEM} "
                f"there holds {system.fingerprint}: build the index again."
            )
        return system

    def _load(self) -> "System":
        from vocalsketch.systems import load_system

        return load_system(Path(self.folder) / SYSTEM)

    @cached_property
    def _scorer(self) -> "Scorer":
        return self.system.scorer(self._threads)

    @property
    def name(self) -> str:
        """What the index is called: its folder's name."""
        return Path(self.address or self.folder).resolve().name

    @property
    def update(self) -> str:
        """The command that brings it up to date, for a shell."""
        folders = [str(self.library), "--index", self.address or str(self.folder)]
        return shlex.join(["vocalsketch", "index", "build", *folders])

    def is_current(self) -> bool:
        """Whether this is the version that a build made last: a look at one file's time."""
        folder = Path(self.folder)
        try:
            found = (folder / FILE).stat()
        except OSError as error:
            raise StorageError(f"{folder} cannot be read ({error.strerror}).") from error
        stamp = found.st_mtime_ns, found.st_ino, found.st_size
        if stamp != self._stamp and Manifest.read(folder) == self.manifest:
            self._stamp = stamp
        return stamp == self._stamp

    def paths(self, words: Sequence[str] = ()) -> list[str]:
        """Return the indexed files whose path has all words, within the library, sorted."""
        paths = sorted(set(self.table.column("path")))
        return [path for path in paths if all(word in path.casefold() for word in words)]

    def tags(self) -> Counter[str]:
        """Count the windows that have each tag."""
        return Counter(tag for tags in self.table.column("tags") for tag in tags)

    def file_of(self, path: str) -> Path:
        """Return where an indexed file lies.

        Raises:
            DatasetError: No such file is indexed, it is gone, or a link leads out to another.
        """
        known = self._known(path)
        if known is None:
            raise DatasetError(f"{path!r} is not in the index {self.name}.")
        file = (self.library.resolve() / path).resolve()
        within = next(each for each in self.libraries if PurePosixPath(path).is_relative_to(each))
        there = file.is_file()
        # a link that leads out: only what was indexed
        if there and not file.is_relative_to((self.library / within).resolve()):
            status = file.stat()
            there = (status.st_size, status.st_mtime_ns) == (known["size"], known["changed"])
        if not there:
            raise DatasetError(
                f"{path!r} is not in the library any more: bring the index {self.name} up to date."
            )
        return file

    def _known(self, path: str) -> dict[str, int] | None:
        """Return the size and time of change that a file had; None where it is not indexed."""
        row = pc.index(self.table.live.column("path"), path).as_py()
        status = self.table.live.select(["size", "changed"])
        return status.slice(row, 1).to_pylist()[0] if row >= 0 else None

    def near(self, asked: Floats, k: int, wishes: Wishes) -> "Index":
        """Return an index of the rows to rank for a query (1, width): this one has them all."""
        return self

    def embeddings(self, queries: Sequence[tuple[Waveform, int]]) -> Floats:
        """Embed prepared queries as imitations: (queries, width)."""
        # one by one: a batch of another size would change an embedding's last bits
        return np.stack([self.listener.hear_query(waveform, rate) for waveform, rate in queries])

    def scores(self, asked: Floats, weights: Mapping[str, float] = MappingProxyType({})) -> Floats:
        """Score every row, also those that do not count: (queries, width) to (queries, rows)."""
        blocks = self.table.blocks
        own = {name: weights[name] for name in self.listener.aspects if name in weights}
        if self.listener.inner_product and not own:
            # in one thread: others would each start those of numpy's
            none = np.empty((len(asked), 0), np.float32)
            return np.concatenate([none, *(asked @ block.T for block in blocks)], axis=1)
        scorer = self.system.scorer(self._threads, own) if own else self._scorer
        return scorer(asked, blocks)

    def search(
        self, waveform: ArrayLike, rate: int, k: int = 10, **wishes: Unpack[Wishes]
    ) -> "list[Hit]":
        """Search with this index alone; see ``Searcher.search``."""
        from vocalsketch.search.searcher import Searcher

        return Searcher([self]).search(waveform, rate, k, **wishes)


@dataclass(frozen=True)
class Check:
    """Whether an index is whole, and how far the library has moved on since it was built."""

    problems: list[str]  # what is wrong with the index itself; empty where it is whole
    new: list[str]  # files that are new or changed in the library
    gone: list[str]  # indexed files that are gone from it


def check_index(folder: Path) -> Check:
    """Read every byte of an index, and compare it with its library."""
    try:
        index = Index(folder)
    except CheckpointError as error:
        return Check([str(error)], [], [])
    problems = [
        f"{folder / part.file} is not as it was written: build it again elsewhere."
        for part in index.manifest.segments
        if Part.of(folder / part.file, part.rows) != part
    ]
    bad = sum(int((~np.isfinite(block)).any(axis=1).sum()) for block in index.table.blocks)
    if bad:
        problems.append(f"{bad} windows have embeddings that are not finite: training diverged.")
    try:
        files = list_library(index.library).files
    except DatasetError as error:
        return Check([*problems, str(error)], [], [])
    todo = make_plan(files, index.table).todo
    new = [file.path for file in todo if file.path not in index.manifest.skipped]
    return Check(problems, new, sorted(set(index.paths()) - {file.path for file in files}))


class Ear:
    """The imitation side of a system whose score is an inner product, as ``export`` writes it."""

    inner_product = True

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a second one would gain a query little
        # what it would do beyond takes longer than it saves one query
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        self._session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
        told = self._session.get_modelmeta().custom_metadata_map
        about = {name: json.loads(value) for name, value in told.items()}
        self.fingerprint: str = about["fingerprint"]  # the system's, as is what follows
        self.kind: Kind = about["kind"]
        self.aspects: tuple[str, ...] = tuple(about["aspects"])
        cut = {name: about[name] for name in ("sample_rate", "seconds", "trim")}
        self._shape = ClipShape(**cut, absolute=False)

    def clip_shape(self, _side: Side) -> ClipShape:
        """Return what the model is given, as a system does."""
        return self._shape

    def hear_query(self, waveform: Waveform, rate: int) -> Floats:
        """Return a query's embedding, (width,), as a system does."""
        whole = clip_of(waveform, rate, replace(self._shape, trim=None))
        clip = clip_of(whole, self._shape.sample_rate, self._shape)  # as an ensemble's members
        embedding: Floats = self._session.run(None, {"waveforms": clip[None]})[0][0]
        return embedding


@cache
def ear_of(fingerprint: str) -> Ear | None:
    """Return the ear of a system; None where torch has to listen."""
    return Ear(SHIPPED) if fingerprint == SHIPPED_FINGERPRINT else None
