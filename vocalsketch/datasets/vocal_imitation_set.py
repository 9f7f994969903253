"""The Vocal Imitation Set: imitations of one recording of each of 302 classes of AudioSet.

Source: zenodo record 1340763, CC BY 4.0. B. Kim, M. Ghei, B. Pardo and Z. Duan, "Vocal Imitation
Set: a dataset of vocally imitated sound events using the AudioSet ontology", DCASE 2018.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from vocalsketch.datasets.discovery import audio_in
from vocalsketch.datasets.layout import Layout
from vocalsketch.datasets.names import Files, composed
from vocalsketch.datasets.records import (
    ALONE,
    Corpus,
    Faults,
    Imitation,
    OnBadAudio,
    Sound,
    single_categories,
)
from vocalsketch.datasets.tables import read_rows
from vocalsketch.datasets.vocalsketch import rows_of_the_task

TABLE = "vocal_imitations.txt"
CLASSES = "original_recordings_classes.txt"
REFERENCES = "original_recordings/reference"
OTHERS = "original_recordings/non_reference"
_COLUMNS = ("imitation_filename", "reference_filename")


def load_vocal_imitation_set(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read a tree of the Vocal Imitation Set (v1.1).

    A class is a category: an imitation is ranked among the recordings of its reference's class,
    about ten of which one was imitated. A class of a single recording is left out and listed.

    Raises:
        DatasetError: A table is missing or damaged, a file is gone, an imitation is named twice.
    """
    faults = Faults(root, on_bad_audio)
    files = Files(root)
    sounds = {sound.id: sound for sound in _sounds(files)}
    imitations: dict[str, Imitation] = {}
    for row in rows_of_the_task(files.place(TABLE), _COLUMNS):
        name, reference = composed(row["imitation_filename"]), row["reference_filename"]
        path = files.find(f"vocal_imitations/included/{name}")
        target = files.find(f"{REFERENCES}/{reference}")
        if not reference:
            faults.add("has imitations of nothing", name, f"Restore their rows of {TABLE}.")
        elif target is None:
            faults.add_gone(f"{REFERENCES}/{reference}")
        if path is None:
            faults.add_gone(f"vocal_imitations/included/{name}")
        if name in imitations:
            faults.add(f"names imitations twice in {TABLE}", name, "Keep one row of each.")
        if path is not None and target is not None:
            sound_id = composed(target.name)
            imitations[name] = Imitation(name, path, sound_id, row["participant_id"])
    alone = set(single_categories(sounds.values()))
    kept = [sound for sound in sounds.values() if sound.category not in alone]
    return faults.corpus(LAYOUT.name, kept, imitations.values(), {ALONE: alone})


def _sounds(files: Files) -> Iterator[Sound]:
    """Yield the recordings, the references' class being that of a folder of others if one fits."""
    classes = _classes(files.place(CLASSES))
    place = files.place(OTHERS)
    others = [path for path in audio_in(place) if path.parent != place]
    folders = {composed(path.parent.name) for path in others}
    for path in audio_in(files.place(REFERENCES)):
        name = composed(path.name)
        kind = composed(path.stem).removesuffix("_reference")
        told = [each for each in classes[name] if each in folders]
        kind = kind if kind in folders or not told else told[0]
        yield Sound(name, path, kind, kind, tuple(dict.fromkeys([kind, *classes[name]])))
    for path in others:
        kind, name = composed(path.parent.name), composed(path.name)
        kinds = tuple(dict.fromkeys([kind, *classes[name]]))
        yield Sound(f"{kind}/{name}", path, kind, name, kinds)


def _classes(table: Path) -> dict[str, list[str]]:
    """Return the classes that the table gives each recording, by file name."""
    classes: dict[str, list[str]] = defaultdict(list)
    if table.is_file():
        for _, row in read_rows(table, ("filename", "classname")):
            classes[composed(row["filename"])].append(composed(row["classname"]))
    return classes


LAYOUT = Layout(
    name="vocal-imitation-set",
    title="the Vocal Imitation Set",
    source="https://zenodo.org/records/1340763",
    tree="ROOT/vocal_imitations.txt, ROOT/vocal_imitations/included/<file>, "
    "ROOT/original_recordings/reference/<class>_reference.wav and "
    "ROOT/original_recordings/non_reference/<class>/<file>",
    needs=((TABLE,), ("original_recordings/reference/",), ("vocal_imitations/included/",)),
    signs=(CLASSES, "original_recordings/non_reference/"),
    load=load_vocal_imitation_set,
)
