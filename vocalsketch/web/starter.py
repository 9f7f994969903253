"""A small index to begin with: synthetic sounds, and a network that was trained on them."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from vocalsketch.datasets.open import DEMO, open_corpus
from vocalsketch.datasets.records import Corpus
from vocalsketch.datasets.splits import paper_split
from vocalsketch.errors import StorageError
from vocalsketch.experiment import run_experiment
from vocalsketch.files import cache_folder
from vocalsketch.search import build_index
from vocalsketch.search.manifest import Manifest

VERSION = 1  # raised whenever the network changes, so that an older one is left aside
CONFIG = Path(__file__).parent / "starter.yaml"
EXAMPLES = 2  # imitations of each category to try
NOTE = (
    "Synthetic demo corpus: sounds and imitations are computed, no voice was recorded. Real voices "
    "need a network trained on them and an index of your own sounds: vocalsketch index build."
)


@dataclass(frozen=True)
class Starter:
    """An index to begin with.

    Attributes:
        index: Of the demo corpus.
        examples: Imitations that its network was not trained on, by what they imitate.
    """

    index: Path
    examples: dict[str, Path]


def starter() -> Starter:
    """Return what to begin with; it is made once, in the cache folder, with progress shown.

    Raises:
        StorageError: The cache folder cannot be written.
        KeyboardInterrupt: The training was interrupted.
    """
    corpus = open_corpus(DEMO)
    folder = cache_folder() / "demo" / f"page-{VERSION}"
    index = folder / "index"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire()
    except OSError as error:
        raise StorageError(
            f"The demo cannot be made in {folder} ({error.strerror or error}): free some space or "
            "set VOCALSKETCH_CACHE to another folder."
        ) from error
    try:
        if not Manifest.exists(index):
            print("Training a small network on synthetic sounds, once:", file=sys.stderr)
            library = Path(os.path.commonpath([sound.path.parent for sound in corpus.sounds]))
            build_index(library, index, _trained(folder / "run"))
    finally:
        lock.release()
    return Starter(index, _examples(corpus))


def _trained(run: Path) -> Path:
    """Return the checkpoint of a network that is trained now."""
    shutil.rmtree(run, ignore_errors=True)  # what an interruption left
    outcome = run_experiment("fit", ["--config", str(CONFIG), "--run_dir", str(run)])
    if outcome.interrupted:
        raise KeyboardInterrupt
    return run / "checkpoints" / "best.ckpt"


def _examples(corpus: Corpus) -> dict[str, Path]:
    """Return imitations that did not train, of different sounds, by these sounds' names."""
    held_out = set(paper_split(corpus).validation_imitations)
    of_sound: dict[str, Path] = {}
    for imitation in corpus.imitations:
        if imitation.id in held_out:
            of_sound.setdefault(imitation.sound_id, imitation.path)
    by_category: dict[str, list[tuple[str, Path]]] = {}
    for sound in corpus.sounds:
        if sound.id in of_sound:
            name = sound.path.stem.replace("_", " ")
            by_category.setdefault(sound.category, []).append((name, of_sound[sound.id]))
    return dict(named for sounds in by_category.values() for named in sounds[:EXAMPLES])
