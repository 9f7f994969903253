"""Synthetic sounds to try the page with, and imitations of some of them."""

import os
from pathlib import Path

from vocalsketch.datasets.open import open_corpus
from vocalsketch.datasets.splits import paper_split

EXAMPLES = 2  # imitations of each category


def sounds_and_examples() -> tuple[Path, dict[str, Path]]:
    """Return the folder of the demo corpus's sounds, and imitations by what they imitate."""
    corpus = open_corpus("demo")
    held_out = set(paper_split(corpus).validation_imitations)
    of_sound: dict[str, Path] = {}
    for imitation in corpus.imitations:
        if imitation.id in held_out:
            of_sound.setdefault(imitation.sound_id, imitation.path)
    named: dict[str, list[tuple[str, Path]]] = {}
    for sound in corpus.sounds:
        if sound.id in of_sound:
            name = sound.path.stem.replace("_", " ")
            named.setdefault(sound.category, []).append((name, of_sound[sound.id]))
    folder = Path(os.path.commonpath([sound.path.parent for sound in corpus.sounds]))
    return folder, dict(each for sounds in named.values() for each in sounds[:EXAMPLES])
