"""What the archives of a folder hold, remembered between runs.

Listing a compressed archive means decompressing all of it. The listing is kept in the cache
folder and used again while the archive's size and time of change stay the same.
"""

import contextlib
import hashlib
import json
from collections.abc import Container, Iterable
from pathlib import Path

from tqdm import tqdm

from vocalsketch.datasets.archive import audio_members
from vocalsketch.errors import DatasetError, StorageError
from vocalsketch.files import cache_folder, write_text

Listing = tuple[tuple[str, int], ...]


def audio_listings(
    folder: Path, archives: Iterable[Path], suffixes: Container[str]
) -> dict[Path, Listing | DatasetError]:
    """List the audio files of the ``.tgz`` archives of one folder.

    Args:
        folder: Where they lie: the listings of a folder are remembered together.
        archives: The archives.
        suffixes: The suffixes of audio files, lower case, with the dot.

    Returns:
        For each archive its (name, size in bytes) pairs, or the error that says it is damaged.
    """
    index = cache_folder() / "archives" / f"{_digest(folder)}.json"
    keys = {archive: _key(archive) for archive in archives}
    known = _load(index)
    found: dict[Path, Listing | DatasetError] = {
        archive: known[key] for archive, key in keys.items() if key in known
    }
    unread = [archive for archive in keys if archive not in found]
    bar = tqdm(unread, f"listing {folder.name}", unit="archive", leave=False, delay=1)
    for archive in bar:
        try:
            found[archive] = known[keys[archive]] = audio_members(archive, suffixes)
        except DatasetError as error:
            found[archive] = error
    if unread:
        _remember(index, {key: known[key] for key in keys.values() if key in known})
    return found


def _digest(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _key(archive: Path) -> str:
    stat = archive.stat()
    return f"{stat.st_size} {stat.st_mtime_ns} {archive.name}"


def _load(index: Path) -> dict[str, Listing]:
    try:
        stored = json.loads(index.read_text(encoding="utf-8"))
        return {
            key: tuple((str(name), int(size)) for name, size in listing)
            for key, listing in stored.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # absent or damaged: the archives themselves are read instead


def _remember(index: Path, listings: dict[str, Listing]) -> None:
    # The index only saves time: a cache that cannot be written must not stop the run.
    with contextlib.suppress(StorageError):
        write_text(index, json.dumps(listings))
