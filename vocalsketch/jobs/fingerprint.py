"""Hashes of what a run's result depends on: its config, its data, the software."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

import vocalsketch
from vocalsketch.datasets.records import Corpus
from vocalsketch.errors import AudioError
from vocalsketch.features.audio import opened_file
from vocalsketch.features.contents import content_id


def fingerprint(
    config: Any, *, seed: int, corpus: str, split: str, needs: Sequence[str] = ()
) -> str:
    """Return a hash of all that a run's result depends on, 16 hexadecimal digits.

    The versions of this package and of torch count too.

    Args:
        config: The resolved config, as plain values.
        seed: Of the run.
        corpus: ``corpus_fingerprint`` of its corpus, else ``clips_fingerprint``.
        split: Fingerprint of the split, or in words how the clips are divided.
        needs: Fingerprints of the runs whose checkpoints it starts from.
    """
    content = {
        "config": config,
        "seed": seed,
        "corpus": corpus,
        "split": split,
        "needs": list(needs),
        "versions": [vocalsketch.__version__, version("torch")],
    }
    plain = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def corpus_fingerprint(corpus: Corpus) -> str:
    """Return a hash of a corpus: ids, categories, targets and every byte of audio."""
    sounds = {sound.path: (sound.id, sound.category) for sound in corpus.sounds}
    imitations = {each.path: (each.id, each.sound_id) for each in corpus.imitations}
    return clips_fingerprint(corpus.name, {**sounds, **imitations})


def clips_fingerprint(name: str, clips: Mapping[Path, Sequence[str]]) -> str:
    """Return a hash of audio files and of what is said of each.

    It stays the same where the files are moved. Audio that cannot be read counts by its name.
    """
    digest = hashlib.sha256(name.encode())
    for path, said in tqdm(clips.items(), desc="corpus fingerprint", unit="file", leave=False):
        line = "\0".join((*said, _content(path)))
        digest.update(f"{line}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _content(path: Path) -> str:
    try:
        with opened_file(path) as stream:
            return content_id(stream)
    except AudioError:
        return "unreadable"
