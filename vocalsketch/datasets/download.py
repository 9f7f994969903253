"""Data sets fetched from where they are published.

A DatasetError says that something cannot be reached, is damaged, unsafe or another thing, and a
StorageError that it cannot be written.
"""

import json
import random
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from html import unescape
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin

import pooch
import requests
import urllib3
from tqdm import tqdm

from vocalsketch import __version__
from vocalsketch.datasets import labelled
from vocalsketch.datasets.archive import unpack_whole
from vocalsketch.datasets.weights import MOBILENETS, download_aisfx
from vocalsketch.errors import ConfigError, DatasetError, StorageError
from vocalsketch.files import cache_folder, write_text

RETRIES = 7
TIMEOUT = 60.0  # seconds without an answer after which an attempt has failed
VOXFORGE = "http://www.repository.voxforge1.org/downloads/"
VOXFORGE_PAUSE = 0.5  # seconds between archives: the repository is a volunteer's
_BLOCK = 2**16  # bytes
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses
# A server that packs an answer would shift the offsets from which a file is resumed.
_HEADERS = {"User-Agent": f"vocalsketch/{__version__} (research)", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, its address, and ``<algorithm>:<digest>`` where known."""

    name: str
    url: str
    checksum: str | None = None


@dataclass(frozen=True)
class Published:
    """Where a data set is published, and by which of its files one knows it."""

    marker: str  # a file of the data set, relative to its own top folder
    record: str = ""  # the address of a zenodo record, which lists files and checksums; or
    files: tuple[RemoteFile, ...] = ()  # the files themselves


_ZENODO = "https://zenodo.org/api/records/"
_QVIM = "https://cloud.cp.jku.at/index.php/s/R2tJQnPmxp6RSSz/download/qvim-dev.zip"
_URBAN = RemoteFile(
    "UrbanSound8K.tar.gz",
    "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
    "md5:9aa69802bbf37fb986f71ec1483a196e",  # as in soundata's index
)
PUBLISHED = {
    "vocalsketch": Published("sound_recordings.csv", f"{_ZENODO}13862"),
    "vimsketch": Published("reference_file_names.csv", f"{_ZENODO}2596911"),
    "vocal-imitation-set": Published("vocal_imitations.txt", f"{_ZENODO}1340763"),
    "qvim-dev": Published("DEV Dataset.csv", files=(RemoteFile("qvim-dev.zip", _QVIM),)),
    "urbansound8k": Published("metadata/UrbanSound8K.csv", files=(_URBAN,)),
}
_EFFICIENTAT = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/"
WEIGHTS = {  # trained on AudioSet; MIT licence; a file's name tells its mean average precision
    name: RemoteFile(f"{name}_as_mAP_{precision}.pt", f"{_EFFICIENTAT}{name}_as_mAP_{precision}.pt")
    for name, precision in zip(MOBILENETS, (298, 378, 432, 443, 471, 478, 482, 484), strict=True)
}


@dataclass(frozen=True)
class Download:
    """What a download came to."""

    folder: Path  # where the data set lies
    fetched: int  # files, this time
    present: int  # files, or whole data sets, that were there before
    damaged: tuple[str, ...] = ()  # files that arrived damaged and were left out, by name

    def __str__(self) -> str:
        if not self.fetched and not self.damaged:
            return f"Already in {self.folder}: nothing was downloaded."
        text = f"Downloaded {self.fetched} file(s) to {self.folder}"
        text += f"; {self.present} were there already" if self.present else ""
        text += f"; damaged and left out: {', '.join(self.damaged)}" if self.damaged else ""
        return f"{text}."


def download(published: Published, out: Path) -> Download:
    """Fetch a data set and unpack it as the folder ``out``.

    ``out`` appears whole or not at all. Until then the downloads wait in ``<out>.download``, where
    an interrupted download goes on. A checksum that nobody publishes is recorded in the cache
    folder, and held against the file when it is downloaded again.
    """
    if (out / published.marker).is_file():
        return Download(out, 0, 1)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(
            f"{out} exists and holds no {published.marker}: choose another folder to make."
        )
    downloads = out.with_name(f"{out.name}.download")
    files = published.files
    if published.record:
        files = record_files(published.record, _text(published.record))
    fetched = [_fetch(file, downloads) for file in files]
    try:
        unpack_whole(fetched, out, published.marker)
    except DatasetError:
        # What has the right checksum and does not unpack never will.
        shutil.rmtree(downloads, ignore_errors=True)
        raise
    shutil.rmtree(downloads, ignore_errors=True)
    return Download(out, len(files), 0)


def download_weights(name: str, out: Path) -> Download:
    """Fetch a network's weights, of ``weights.BACKBONES``; otherwise as ``download_file``."""
    if name in WEIGHTS:
        return download_file(WEIGHTS[name], out)
    if out.is_file():
        return Download(out, 0, 1)
    download_aisfx(out)
    return Download(out, 1, 0)


def download_file(file: RemoteFile, out: Path) -> Download:
    """Fetch a single file as ``out``, whole or not at all; otherwise as ``download``."""
    if out.is_file():
        return Download(out, 0, 1)
    downloads = out.with_name(f"{out.name}.download")
    _fetch(file, downloads).replace(out)
    downloads.rmdir()
    return Download(out, 1, 0)


def record_files(url: str, answer: str) -> tuple[RemoteFile, ...]:
    """Read the files out of zenodo's JSON description of a record."""
    try:
        files = tuple(
            # a release from GitHub is named owner/name.zip
            RemoteFile(PurePosixPath(f["key"]).name, f["links"]["self"], f["checksum"])
            for f in json.loads(answer)["files"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{url} does not answer with a zenodo record ({error!r}): download the data set by "
            "hand and give its folder."
        ) from error
    if not files:
        raise DatasetError(f"{url} lists no file: download the data set by hand.")
    return files


def download_voxforge(
    out: Path,
    languages: Sequence[str] = labelled.LANGUAGES,
    limit: int | None = labelled.CLIPS_PER_LANGUAGE,
    *,
    base_url: str = VOXFORGE,
) -> Download:
    """Fetch submissions of VoxForge to ``<out>/<language>/`` until each language has enough clips.

    They are taken round the speakers, in an order that never changes, so that a later run finds
    the same ones done and goes on behind them; each is unpacked when it has arrived. None as
    ``limit`` takes all; as submissions hold about ten clips, a few more come.
    """
    wrong = [language for language in languages if not language.isalnum()]
    if wrong or not languages:
        raise ConfigError(f"languages is {list(languages)}: give names such as nl, en, fr.")
    fetched, present, damaged = 0, 0, []
    for language in languages:
        name = labelled.LANGUAGE_FOLDERS.get(language, language)
        archives = _listed_archives(urljoin(base_url, f"{name}/{labelled.MIRRORED}/"))
        rng = random.Random(f"0 {language}")
        order = labelled.round_speakers(sorted(archives), labelled.speaker_of, rng)
        there = labelled.submissions(out / language, defaultdict(list), language)
        clips = 0
        with tqdm(total=limit, desc=language, unit="clip") as bar:
            for stem in order:
                if limit is not None and clips >= limit:
                    break
                file = RemoteFile(f"{stem}{labelled.ARCHIVE_SUFFIX}", archives[stem])
                folder = there.get(stem) or _submission(file, out / language)
                if folder is None:
                    damaged.append(f"{language}/{file.name}")
                    continue
                present += stem in there
                fetched += stem not in there
                found = len(labelled.clips_of(folder, language, defaultdict(list)))
                clips += found
                bar.update(found)
    return Download(out, fetched, present, tuple(damaged))


def _submission(file: RemoteFile, folder: Path) -> Path | None:
    """Fetch and unpack a submission; None where it arrived damaged."""
    time.sleep(VOXFORGE_PAUSE)
    archive = _fetch(file, folder)
    try:
        unpack_whole([archive], folder / archive.stem)
    except DatasetError:
        return None
    finally:
        archive.unlink()
    return folder / archive.stem


def _listed_archives(page: str) -> dict[str, str]:
    """Return the submissions that a folder's page links to: name to address."""
    archives = {}
    for link in re.findall(r"""<a\s[^>]*?href\s*=\s*["']([^"']+)""", _text(page), re.IGNORECASE):
        url = urljoin(page, unescape(link))
        name = unquote(url.removeprefix(page))
        if name.endswith(labelled.ARCHIVE_SUFFIX) and PurePosixPath(name).name == name:
            archives[name.removesuffix(labelled.ARCHIVE_SUFFIX)] = url
    if not archives:
        raise DatasetError(f"{page} lists no archive ({labelled.ARCHIVE_SUFFIX}) to download.")
    return archives


def _text(url: str) -> str:
    file = _fetch(RemoteFile(".page", url), cache_folder() / "downloads", record=False)
    text = file.read_text(encoding="utf-8", errors="replace")
    file.unlink()
    return text


def _fetch(file: RemoteFile, folder: Path, *, record: bool = True) -> Path:
    """Fetch a file and verify its checksum; one that arrived whole before is not fetched again."""
    pooch.get_logger().setLevel("WARNING")
    known = cache_folder() / "downloads" / f"{file.name}.sha256"
    if file.checksum is None and record and known.is_file():
        file = replace(file, checksum=known.read_text(encoding="ascii").strip())
    pup = pooch.create(
        folder,
        base_url="",
        registry={file.name: file.checksum},
        urls={file.name: file.url},
        retry_if_failed=RETRIES,
    )
    try:
        path = Path(pup.fetch(file.name, downloader=partial(_resume, file)))
        if file.checksum is None and record:
            write_text(known, f"sha256:{pooch.file_hash(path)}\n")
    except requests.RequestException as error:
        raise DatasetError(
            f"Cannot download {file.url} ({error}), tried {RETRIES + 1} times. "
            "Check the connection and run again: it goes on where it stopped."
        ) from error
    except OSError as error:
        raise StorageError(
            f"Cannot write {folder} ({error.strerror or error}): check the folder and the space "
            "left. What has arrived is kept: run again to go on."
        ) from error
    finally:
        with suppress(OSError):  # what holds nothing to go on with
            folder.rmdir()
    return path


def _resume(file: RemoteFile, url: str, output: str, pup: pooch.Pooch) -> None:
    """Fetch a file for pooch, going on behind what an earlier attempt left of it."""
    part = Path(pup.path) / f"{file.name}.part"
    offset = part.stat().st_size if part.exists() else 0
    headers = _HEADERS | ({"Range": f"bytes={offset}-"} if offset else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        whole = response.headers.get("Content-Range", "").rpartition("/")[2]
        if response.status_code != requests.codes.requested_range_not_satisfiable:
            _save(response, part, offset)
        elif whole != str(offset):
            part.unlink()
            raise requests.HTTPError(f"{part.name} was no part of this file; starting over")
    algorithm, _, digest = (file.checksum or "").rpartition(":")
    if digest and pooch.file_hash(part, algorithm) != digest:
        part.unlink()
        raise DatasetError(
            f"{file.name} from {url} does not have the checksum {file.checksum}: it was changed or "
            "damaged on the way, and removed. Run again to fetch it anew."
        )
    part.replace(output)


def _save(response: requests.Response, part: Path, offset: int) -> None:
    """Append an answer to ``part``, or begin it anew where the server sends all of it."""
    if response.status_code in _TRY_AGAIN:
        raise requests.HTTPError(f"HTTP {response.status_code}")
    if not response.ok:
        raise DatasetError(
            f"{response.url} answers HTTP {response.status_code} {response.reason}: "
            "check that it is still offered there."
        )
    offset = offset if response.status_code == requests.codes.partial_content else 0
    length = response.headers.get("Content-Length")
    total = offset + int(length) if length else None
    try:
        with (
            part.open("ab" if offset else "wb") as file,
            tqdm.wrapattr(
                file, "write", total, desc=part.stem, initial=offset, leave=False, delay=1
            ) as out,
        ):
            # Not decoded: some servers label a .tgz as a packed .tar, which would be unpacked.
            for block in response.raw.stream(_BLOCK, decode_content=False):
                out.write(block)
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(str(error)) from error
