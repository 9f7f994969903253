"""An index at an address such as ``s3://bucket/index``, with a copy in the cache folder."""

import hashlib
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from fsspec.core import url_to_fs

from vocalsketch.errors import StorageError, VocalSketchError
from vocalsketch.files import cache_folder, written_whole
from vocalsketch.search.segment import FILE, PARTS, SYSTEM, Manifest, Part


class Remote:
    """An index elsewhere. Segments never change, so the copy fetches and sends what is new.

    Args:
        address: As fsspec takes it; one build at a time, which no lock ensures.

    Attributes:
        folder: Of the copy, an index's folder.

    Raises:
        StorageError: Here and in all methods: the address cannot be reached, read or written.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        name = hashlib.sha256(self.address.encode()).hexdigest()[:16]
        self.folder = cache_folder() / "indexes" / f"{PurePosixPath(self.address).name}-{name}"
        with reaching(self.address):
            self._files, self._root = url_to_fs(self.address)
        self._theirs = Manifest()

    def holds_index(self) -> bool:
        """Whether there is an index."""
        with reaching(self.address):
            return bool(self._files.exists(f"{self._root}/{FILE}"))

    def pull(self, ahead: bool = False) -> Path:
        """Bring the copy up to date, the manifest last; return its folder.

        Args:
            ahead: Whether a copy that was built and not sent, as its build was killed, is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with reaching(self.address), tempfile.TemporaryDirectory(dir=self.folder) as new:
            fetch(f"{self.address}/{FILE}", Path(new, FILE))
            self._theirs = Manifest.read(Path(new))
            ours = Manifest.read(self.folder) if Manifest.exists(self.folder) else Manifest()
            if ahead and ours.version > self._theirs.version:
                return self.folder
            for part in self._theirs.segments:
                if part not in ours.segments or not (self.folder / part.file).exists():
                    self._fetch(part.file, part.checksum)
            system = self.folder / SYSTEM
            if ours.fingerprint != self._theirs.fingerprint or not system.exists():
                self._fetch(SYSTEM)
            Path(new, FILE).replace(self.folder / FILE)
        return self.folder

    def begin(self) -> Path:
        """Bring the copy up to date for a build, which goes on where one was killed."""
        with reaching(self.address):
            for folder in (self._root, f"{self._root}/{PARTS}"):
                if not self._files.exists(folder):
                    self._files.mkdir(folder, create_parents=False)  # a bucket is not made
            probe = f"{self._root}/{PARTS}/{secrets.token_hex(4)}.tmp"
            self._files.pipe_file(probe, b"may this be written?")
            self._files.rm_file(probe)
        if self.holds_index():
            self.pull(ahead=True)
        self.pull_parts()
        return self.folder

    def pull_parts(self) -> None:
        """Fetch the parts that are there and not here."""
        with reaching(self.address):
            for file in self._listed(f"{self._root}/{PARTS}"):
                if file.suffix == ".arrow" and not (self.folder / PARTS / file.name).exists():
                    self._fetch(f"{PARTS}/{file.name}")

    def push(self) -> None:
        """Send what is new, the manifest last; then remove what no version needs any more."""
        ours = Manifest.read(self.folder)
        new = [part.file for part in ours.segments if part not in self._theirs.segments]
        for name in [*new, SYSTEM, FILE] if ours != self._theirs else []:
            send(self.folder / name, f"{self.address}/{name}")
        needed = {part.file for part in (*ours.segments, *self._theirs.segments)}
        with reaching(self.address):
            for file in self._listed(self._root):
                if file.suffix == ".arrow" and file.name not in needed:
                    self._files.rm_file(str(file))
            if self._listed(f"{self._root}/{PARTS}"):  # object storage has no empty folders
                self._files.rm(f"{self._root}/{PARTS}", recursive=True)

    def _listed(self, folder: str) -> list[PurePosixPath]:
        self._files.invalidate_cache()  # others write there
        return [PurePosixPath(name) for name in self._files.find(folder, maxdepth=1)]

    def _fetch(self, name: str, checksum: str = "") -> None:
        with written_whole(self.folder / name) as temporary:
            fetch(f"{self.address}/{name}", temporary)
            if checksum and Part.of(temporary, 0).checksum != checksum:
                raise StorageError(f"{self.address}/{name} is damaged: build the index elsewhere.")


def fetch(address: str, file: Path) -> None:
    """Read what is at an address into a file; a StorageError says what failed."""
    with reaching(address):
        files, path = url_to_fs(address)
        files.get_file(path, str(file))


def send(file: Path, address: str) -> None:
    """Write a file to an address, whole or not at all; a StorageError says what failed."""
    with reaching(address):
        files, path = url_to_fs(address)
        temporary = f"{path}.{secrets.token_hex(4)}.tmp"
        files.put_file(str(file), temporary)
        files.mv(temporary, path)


@contextmanager
def reaching(address: str) -> Iterator[None]:
    """Raise a StorageError of an address in place of whatever fails, as each kind has its own."""
    try:
        yield
    except VocalSketchError:
        raise
    except Exception as error:
        # Lance tells the place in its source, too
        why = str(error).split(", /")[0][:300] or type(error).__name__
        raise StorageError(
            f"{address} cannot be read or written ({why}): check the address, the connection and "
            "the rights."
        ) from error
