"""Records of zenodo.org: what files they hold, and a data set made of them."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pooch

from vocalsketch.datasets.archive import unpack
from vocalsketch.datasets.transfer import Transfer
from vocalsketch.errors import DatasetError, StorageError

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file.

    Attributes:
        name: Its name, without folders.
        url: Its address.
        checksum: ``<algorithm>:<hexadecimal digest>``.
        size: Bytes, where known.
    """

    name: str
    url: str
    checksum: str
    size: int | None = None


def record_files(record_url: str, answer: str) -> tuple[RemoteFile, ...]:
    """Read the files out of zenodo's JSON description of a record.

    Args:
        record_url: Where the description came from, for messages.
        answer: The description.

    Raises:
        DatasetError: It is no such description, or lists no file.
    """
    try:
        files = tuple(
            RemoteFile(
                PurePosixPath(entry["key"]).name,  # a release from GitHub is named owner/name.zip
                entry["links"]["self"],
                entry["checksum"],
                int(entry["size"]),
            )
            for entry in json.loads(answer)["files"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{record_url} does not answer with a zenodo record ({error!r}): "
            "download the data set by hand and give its folder."
        ) from error
    if not files:
        raise DatasetError(f"{record_url} lists no file: download the data set by hand.")
    return files


def install(
    files: Sequence[RemoteFile], out: Path, marker: PurePosixPath, transfer: Transfer
) -> None:
    """Fetch files, unpack the archives among them, and make the data set's folder of them.

    ``out`` appears whole or not at all. Until then the downloads wait in ``<out>.download``,
    where an interrupted download goes on.

    Args:
        files: What to fetch.
        out: The folder to make; it does not exist or is empty.
        marker: A file of the data set, relative to its own top folder, which may lie deeper in
            the archive.
        transfer: How to fetch.

    Raises:
        DatasetError: A file cannot be reached, is damaged or unsafe, or no file is ``marker``.
        StorageError: The disk is full or the folder cannot be written.
    """
    downloads = out.with_name(f"{out.name}.download")
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        fetched = [_fetch(file, downloads, transfer) for file in files]
        try:
            _unpack_whole(fetched, downloads, out, marker)
        except DatasetError:
            # What has the right checksum and does not unpack never will.
            shutil.rmtree(downloads, ignore_errors=True)
            raise
        shutil.rmtree(downloads)
    except OSError as error:
        raise StorageError(
            f"Cannot write {out} ({error.strerror or error}): check the folder and the space left, "
            "and run again: finished downloads are kept."
        ) from error


def _fetch(file: RemoteFile, folder: Path, transfer: Transfer) -> Path:
    """Fetch a file and verify its checksum; one that arrived whole before is not fetched again."""

    def resume(url: str, whole: str, _: object) -> None:
        part = folder / f"{file.name}.part"
        transfer.fetch(url, part, file.size)
        part.replace(whole)

    try:
        found = pooch.retrieve(file.url, file.checksum, file.name, folder, downloader=resume)
    except ValueError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DatasetError(
            f"{file.name} from {file.url} does not have the checksum {file.checksum}: it was "
            "changed or damaged on the way, and removed. Run again to fetch it anew."
        ) from error
    return Path(found)


def _unpack_whole(fetched: list[Path], downloads: Path, out: Path, marker: PurePosixPath) -> None:
    """Unpack beside ``out`` and rename: a reader sees all of the data set or nothing."""
    content = downloads / "unpacked"
    shutil.rmtree(content, ignore_errors=True)  # left by a process that was killed
    content.mkdir()
    try:
        for path in fetched:
            if path.name.lower().endswith(_ARCHIVES):
                unpack(path, content)
            else:
                shutil.copyfile(path, content / path.name)
        found = sorted(content.rglob(str(marker)), key=lambda path: len(path.parts))
        if not found:
            raise DatasetError(
                f"{', '.join(path.name for path in fetched)} holds no {marker}: it is not the "
                "data set that was asked for, and was removed."
            )
        found[0].parents[len(marker.parts) - 1].replace(out)
    finally:
        shutil.rmtree(content, ignore_errors=True)
