"""Hashes of what a run's result depends on: data and code."""

import hashlib
from pathlib import Path

from tqdm import tqdm

import vocalsketch
from vocalsketch.datasets.records import Corpus
from vocalsketch.errors import AudioError
from vocalsketch.features.audio import opened_file
from vocalsketch.features.contents import content_id

# The packages that a run passes through; a change of a page or a command changes no result.
RUN_PACKAGES = (
    "callbacks",
    "datamodules",
    "datasets",
    "experiment",
    "features",
    "models",
    "retrieval",
    "tasks",
)


def corpus_fingerprint(corpus: Corpus) -> str:
    """Return a hash of a corpus: ids, categories, targets and every byte of audio.

    It stays the same where the corpus is moved. Audio that cannot be read counts by its name.
    """
    digest = hashlib.sha256(corpus.name.encode())
    records = {
        **{sound.path: (sound.id, sound.category) for sound in corpus.sounds},
        **{each.path: (each.id, each.sound_id) for each in corpus.imitations},
    }
    with tqdm(total=len(records), desc="corpus fingerprint", unit="file", leave=False) as bar:
        for path, identity in records.items():
            line = "\0".join((*identity, _content_of(path)))
            digest.update(f"{line}\n".encode(errors="surrogateescape"))
            bar.update()
    return digest.hexdigest()[:16]


def _content_of(path: Path) -> str:
    try:
        with opened_file(path) as stream:
            return content_id(stream)
    except AudioError:
        return "unreadable"


def code_fingerprint() -> str:
    """Return a hash of the sources that a run passes through."""
    root = Path(vocalsketch.__file__).parent
    digest = hashlib.sha256()
    for package in RUN_PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
