"""The Vocal Imitation Set: imitations of one recording of each of 302 classes of AudioSet."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from vocalsketch.datasets.layout import Layout
from vocalsketch.datasets.names import Files, composed
from vocalsketch.datasets.records import (
    ALONE,
    FILE_GONE,
    Corpus,
    Faults,
    Imitation,
    OnBadAudio,
    Sound,
    assemble,
    single_categories,
)
from vocalsketch.datasets.tables import read_rows
from vocalsketch.datasets.vocalsketch import truth

TABLE = "vocal_imitations.txt"
CLASSES = "original_recordings_classes.txt"
REFERENCES = "original_recordings/reference"
OTHERS = "original_recordings/non_reference"
_COLUMNS = ("imitation_filename", "reference_filename", "included", "draft", "training")


def load_vocal_imitation_set(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read a tree of the Vocal Imitation Set (v1.1).

    A class is a category: an imitation is ranked among the recordings of its reference's class,
    about ten of which one was imitated. A class of a single recording is left out and listed.

    Args:
        root: The folder that holds ``vocal_imitations.txt``.
        on_bad_audio: Whether absent files are an error or are listed as missing.

    Raises:
        DatasetError: A table is missing or damaged, a file is gone, an imitation is named twice.
    """
    faults = Faults(root, on_bad_audio)
    files = Files(root)
    sounds = {sound.id: sound for sound in _sounds(root)}
    imitations: dict[str, Imitation] = {}
    for row in _rows_of_the_task(root / TABLE):
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
    faults.refuse()
    alone = set(single_categories(sounds.values()))
    kept = [sound for sound in sounds.values() if sound.category not in alone]
    gone = sorted(set(faults.gone))
    return assemble(
        LAYOUT.name, root, kept, imitations.values(), {FILE_GONE: gone, ALONE: sorted(alone)}
    )


def _sounds(root: Path) -> Iterator[Sound]:
    """Yield the recordings, the references' class being that of a folder of others if one fits."""
    classes = _classes(root)
    folders = {composed(path.name) for path in (root / OTHERS).glob("[!.]*") if path.is_dir()}
    for path in sorted((root / REFERENCES).glob("[!.]*.wav")):
        name = composed(path.name)
        kind = composed(path.stem).removesuffix("_reference")
        told = [each for each in classes[name] if each in folders]
        kind = kind if kind in folders or not told else told[0]
        yield Sound(name, path, kind, kind, _and_others(kind, classes[name]))
    for path in sorted((root / OTHERS).glob("[!.]*/[!.]*.wav")):
        kind, name = composed(path.parent.name), composed(path.name)
        yield Sound(f"{kind}/{name}", path, kind, name, _and_others(kind, classes[name]))


def _classes(root: Path) -> dict[str, list[str]]:
    """Return the classes that the table gives each recording, by file name."""
    classes: dict[str, list[str]] = defaultdict(list)
    if (root / CLASSES).is_file():
        for _, row in read_rows(root / CLASSES, ("filename", "classname")):
            classes[composed(row["filename"])].append(composed(row["classname"]))
    return classes


def _and_others(kind: str, classes: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([kind, *classes]))


def _rows_of_the_task(table: Path) -> Iterator[dict[str, str]]:
    for line, row in read_rows(table, _COLUMNS, optional=("participant_id",)):
        included, draft, training = (
            truth(table, line, row, name) for name in ("included", "draft", "training")
        )
        if included and not draft and not training:
            yield row


LAYOUT = Layout(
    name="vocal-imitation-set",
    title="the Vocal Imitation Set",
    source="https://zenodo.org/records/1340763",
    licence="CC BY 4.0",
    citation="B. Kim, M. Ghei, B. Pardo and Z. Duan, Vocal Imitation Set: a dataset of vocally "
    "imitated sound events using the AudioSet ontology, DCASE 2018",
    tree="ROOT/vocal_imitations.txt, ROOT/vocal_imitations/included/<file>, "
    "ROOT/original_recordings/reference/<class>_reference.wav and "
    "ROOT/original_recordings/non_reference/<class>/<file>",
    needs=((TABLE,), ("original_recordings/reference/",), ("vocal_imitations/included/",)),
    signs=(CLASSES, "original_recordings/non_reference/"),
    load=load_vocal_imitation_set,
)
