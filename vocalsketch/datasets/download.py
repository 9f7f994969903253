"""Data sets fetched from where they are published."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin

from tqdm import tqdm

from vocalsketch.datasets import voxforge
from vocalsketch.datasets.archive import audio_members
from vocalsketch.datasets.archive_index import audio_listings
from vocalsketch.datasets.transfer import Transfer
from vocalsketch.datasets.zenodo import RemoteFile, install, record_files
from vocalsketch.errors import ConfigError, DatasetError

VOCALSKETCH_RECORD = "https://zenodo.org/api/records/13862"
URBANSOUND8K_ARCHIVE = "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz"
URBANSOUND8K_CHECKSUM = "md5:9aa69802bbf37fb986f71ec1483a196e"  # as in soundata's index
VOXFORGE_PAUSE = 0.5  # seconds between archives: the repository is a volunteer's
_VOXFORGE_FOLDERS = {"en": "SpeechCorpus", "nl": "Dutch", "ru": "Russian"}  # else the language
_VOXFORGE_AUDIO = "Trunk/Audio/Main/16kHz_16bit/"


@dataclass(frozen=True)
class Download:
    """What a download came to.

    Attributes:
        folder: Where the data set lies.
        fetched: Files fetched this time.
        present: Files, or whole data sets, that were there before.
        damaged: Files that arrived damaged and were left out, by name.
    """

    folder: Path
    fetched: int
    present: int
    damaged: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.fetched and not self.damaged:
            return f"Already in {self.folder}: nothing was downloaded."
        text = f"Downloaded {self.fetched} file(s) to {self.folder}"
        text += f"; {self.present} were there already" if self.present else ""
        text += f"; damaged and left out: {', '.join(self.damaged)}" if self.damaged else ""
        return f"{text}."


def download_vocalsketch(
    out: Path, *, record_url: str = VOCALSKETCH_RECORD, transfer: Transfer | None = None
) -> Download:
    """Fetch VocalSketch v1.0.4 from zenodo and unpack it as the folder ``out``.

    ``out`` appears whole or not at all. An interrupted download goes on where it stopped.

    Args:
        out: The folder to make.
        record_url: The record in zenodo's interface, which lists files and checksums.
        transfer: How to fetch.

    Raises:
        DatasetError: ``out`` holds something else; zenodo cannot be reached or its record not be
            understood; a file is damaged.
        StorageError: The disk is full or the folder cannot be written.
    """
    marker = PurePosixPath("sound_recordings.csv")
    if _is_there(out, marker):
        return Download(out, 0, 1)
    with transfer or Transfer() as connection:
        files = record_files(record_url, connection.text(record_url))
        install(files, out, marker, connection)
    return Download(out, len(files), 0)


def download_urbansound8k(
    out: Path,
    *,
    url: str = URBANSOUND8K_ARCHIVE,
    checksum: str = URBANSOUND8K_CHECKSUM,
    transfer: Transfer | None = None,
) -> Download:
    """Fetch UrbanSound8K (6 GB) from zenodo and unpack it as the folder ``out``.

    ``out`` appears whole or not at all. An interrupted download goes on where it stopped.

    Args:
        out: The folder to make.
        url: The archive's address.
        checksum: The archive's checksum.
        transfer: How to fetch.

    Raises:
        DatasetError: ``out`` holds something else; the archive cannot be reached or is damaged.
        StorageError: The disk is full or the folder cannot be written.
    """
    marker = PurePosixPath("metadata/UrbanSound8K.csv")
    if _is_there(out, marker):
        return Download(out, 0, 1)
    with transfer or Transfer() as connection:
        archive = RemoteFile("UrbanSound8K.tar.gz", url, checksum)
        install([archive], out, marker, connection)
    return Download(out, 1, 0)


def download_voxforge(
    out: Path,
    languages: Sequence[str] = voxforge.LANGUAGES,
    limit: int | None = voxforge.CLIPS_PER_LANGUAGE,
    *,
    base_url: str = voxforge.SOURCE,
    pause: float = VOXFORGE_PAUSE,
    seed: int = 0,
    transfer: Transfer | None = None,
) -> Download:
    """Fetch archives of VoxForge to ``<out>/<language>/`` until each language has enough clips.

    The archives are taken round the speakers, in an order that the seed gives, so that a later
    run finds the same ones done and goes on behind them. They stay packed.

    Args:
        out: The folder that holds, or will hold, one folder per language.
        languages: The languages, by the names of VoxForge's folders (``en``, ``nl`` and ``ru``
            stand for its ``SpeechCorpus``, ``Dutch`` and ``Russian``).
        limit: Clips per language after which no further archive is fetched; None takes all. As
            archives hold about ten clips, a few more than ``limit`` come.
        base_url: The repository's ``downloads/`` folder, with a slash at its end.
        pause: Seconds between two archives.
        seed: Seeds the order.
        transfer: How to fetch.

    Raises:
        ConfigError: A language's name is no folder's name.
        DatasetError: The repository cannot be reached or has no archive of a language.
        StorageError: The disk is full or the folder cannot be written.
    """
    wrong = [language for language in languages if not language.isalnum()]
    if wrong or not languages:
        raise ConfigError(f"languages is {list(languages)}: give names such as nl, en, fr.")
    fetched, present, damaged = 0, 0, []
    with transfer or Transfer(progress=False) as connection:
        for language in languages:
            folder = f"{_VOXFORGE_FOLDERS.get(language, language)}/{_VOXFORGE_AUDIO}"
            archives = _listed_archives(urljoin(base_url, folder), connection)
            order = voxforge.round_speakers(
                sorted(archives), voxforge.speaker_of, random.Random(f"{seed} {language}")
            )
            job = _LanguageDownload(out / language, connection, pause)
            job.run([(name, archives[name]) for name in order], limit)
            fetched, present = fetched + job.fetched, present + job.present
            damaged += job.damaged
    return Download(out, fetched, present, tuple(damaged))


class _LanguageDownload:
    """Fetches the archives of one language, counting."""

    def __init__(self, folder: Path, transfer: Transfer, pause: float) -> None:
        self.folder = folder
        self.transfer = transfer
        self.pause = pause
        self.fetched = 0
        self.present = 0
        self.damaged: list[str] = []

    def run(self, archives: Sequence[tuple[str, str]], limit: int | None) -> None:
        """Fetch (name, address) pairs in order until ``limit`` clips are there."""
        there = self._clips_there([name for name, _ in archives])
        clips = 0
        with tqdm(total=limit, desc=self.folder.name, unit="clip") as bar:
            for name, url in archives:
                if limit is not None and clips >= limit:
                    break
                found = there.get(name)
                if found is None:
                    found = self._fetch(name, url)
                else:
                    self.present += 1
                clips += found
                bar.update(found)

    def _clips_there(self, names: Sequence[str]) -> dict[str, int]:
        """Count the clips of the archives that are there, packed or extracted, and sound."""
        packed = [self.folder / name for name in names if (self.folder / name).exists()]
        there = {
            path.name: len(listing)
            for path, listing in audio_listings(self.folder, packed, voxforge.SUFFIXES).items()
            if not isinstance(listing, DatasetError)
        }
        for name in names:
            extracted = self.folder / name.removesuffix(voxforge.ARCHIVE_SUFFIX)
            if extracted.is_dir():
                files = extracted.rglob("*")
                there[name] = sum(path.suffix.lower() in voxforge.SUFFIXES for path in files)
        return there

    def _fetch(self, name: str, url: str) -> int:
        """Fetch an archive that is missing or damaged; return the clips that it holds."""
        part = self.folder / f"{name}.part"
        self.transfer.sleep(self.pause)
        self.transfer.fetch(url, part)
        try:
            clips = len(audio_members(part, voxforge.SUFFIXES))
        except DatasetError:
            part.unlink()
            self.damaged.append(f"{self.folder.name}/{name}")
            return 0
        part.replace(self.folder / name)
        self.fetched += 1
        return clips


class _Links(HTMLParser):
    """Collects the addresses that a page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _listed_archives(page_url: str, transfer: Transfer) -> dict[str, str]:
    """Return the archives that a folder's page links to: name to address."""
    links = _Links()
    links.feed(transfer.text(page_url))
    archives = {}
    for link in links.found:
        url = urljoin(page_url, link)
        name = unquote(url.removeprefix(page_url))
        if name.endswith(voxforge.ARCHIVE_SUFFIX) and PurePosixPath(name).name == name:
            archives[name] = url
    if not archives:
        raise DatasetError(f"{page_url} lists no archive ({voxforge.ARCHIVE_SUFFIX}) to download.")
    return archives


def _is_there(out: Path, marker: PurePosixPath) -> bool:
    """Say whether ``out`` is the data set.

    Raises:
        DatasetError: It is something else.
    """
    if (out / marker).is_file():
        return True
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} exists and holds no {marker}: choose another folder to make.")
    return False
