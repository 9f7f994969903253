"""An index, opened for searching."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vocalsketch.errors import CheckpointError, DatasetError
from vocalsketch.features.audio import clip_of
from vocalsketch.search.kernel import Floats, HeadKernel
from vocalsketch.search.manifest import NETWORK, Manifest
from vocalsketch.search.query import Waveform
from vocalsketch.search.table import SoundTable
from vocalsketch.systems import System, load_system
from vocalsketch.systems.siamese import Siamese

if TYPE_CHECKING:
    from vocalsketch.search.searcher import Hit


class Index:
    """A library's sounds as one network hears them; ``Index.open(folder)`` opens one.

    Args:
        folder: Where it lies.
        manifest: Its current version.
        table: The sounds, memory-mapped.
        trained: The network that made the shares.
        threads: That score; by default a core each.

    Attributes:
        folder: Where it lies.
        library: The folder that was indexed.
        table: The rows: a window each, sorted by path.
        trained: The network that made the shares, and its front ends.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        table: SoundTable,
        trained: System,
        threads: int | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.library = Path(manifest.library)
        self.table = table
        self.trained = trained
        self._kernel = HeadKernel(cast("Siamese", trained).head, threads)

    @classmethod
    def open(
        cls, folder: Path | str, library: Path | str | None = None, threads: int | None = None
    ) -> "Index":
        """Open the current version of an index.

        Args:
            folder: Where it lies.
            library: Where the sounds lie now, if they were moved since.
            threads: That score; by default a core each.

        Raises:
            StorageError: There is no index, or it is damaged.
            CheckpointError: Its network is missing, or not the one that made it.
        """
        folder = Path(folder)
        manifest, table = _current(folder)
        trained = load_system(folder / NETWORK)
        if trained.fingerprint != manifest.fingerprint:
            raise CheckpointError(
                f"The index in {folder} was made by network {manifest.fingerprint}, but "
                f"{NETWORK} there holds {trained.fingerprint}: build the index again."
            )
        index = cls(folder, manifest, table, trained, threads)
        if library is not None:
            index.library = Path(library)
        return index

    @property
    def name(self) -> str:
        """What the index is called: its folder's name."""
        return self.folder.resolve().name

    @property
    def version(self) -> int:
        """Counts the builds that changed something."""
        return self.manifest.version

    @property
    def fingerprint(self) -> str:
        """Of the network and its front ends."""
        return self.manifest.fingerprint

    @property
    def corpus(self) -> str:
        """What the network was trained on."""
        return self.manifest.corpus

    @property
    def sounds(self) -> int:
        """Number of files."""
        return self.manifest.sounds

    @property
    def windows(self) -> int:
        """Number of windows of these files."""
        return len(self.table)

    def paths(self) -> list[str]:
        """Return the indexed files, within the library, sorted."""
        return list(dict.fromkeys(self.table.column("path")))

    def file_of(self, path: str) -> Path:
        """Return where an indexed file lies.

        Raises:
            DatasetError: No such file is indexed, it is gone, or a link leads out of the library.
        """
        import pyarrow.compute as pc

        root = self.library.resolve()
        if pc.index(self.table.rows.column("path"), path).as_py() < 0:
            raise DatasetError(f"{path!r} is not in the index {self.name}.")
        file = (root / path).resolve()
        if not file.is_relative_to(root) or not file.is_file():
            raise DatasetError(
                f"{path!r} is not in the library any more: bring the index {self.name} up to date."
            )
        return file

    @torch.inference_mode()
    def shares(self, queries: Sequence[tuple[Waveform, int]]) -> Floats:
        """Embed prepared queries with the imitation tower: (queries, width)."""
        front_end = self.trained.front_ends["imitation"]
        # one by one: a batch of another size would change a share's last bits
        shares = [
            self.trained.hear(
                "imitation", torch.from_numpy(clip_of(waveform, rate, front_end))[None]
            )
            for waveform, rate in queries
        ]
        return torch.cat(shares).numpy()

    def scores(self, queries: Sequence[tuple[Waveform, int]]) -> NDArray[np.float32]:
        """Score every window for prepared queries: logits (queries, windows)."""
        return self._kernel.scores(self.shares(queries), self.table.blocks)

    def search(
        self,
        waveform: ArrayLike,
        rate: int,
        k: int = 10,
        *,
        tags: Sequence[str] = (),
        text: str = "",
        trim: bool = True,
    ) -> "list[Hit]":
        """Search with this index alone; see ``Searcher.search``."""
        from vocalsketch.search.searcher import Searcher

        return Searcher([self]).search(waveform, rate, k, tags=tags, text=text, trim=trim)


def _current(folder: Path) -> tuple[Manifest, SoundTable]:
    manifest = Manifest.read(folder)
    if not (folder / manifest.table).exists():
        manifest = Manifest.read(folder)  # a build has put another version in its place
    return manifest, SoundTable(folder / manifest.table)
