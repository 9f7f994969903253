"""VocalSketch: crowd-sourced vocal imitations of 240 sound recordings in four categories.

Source: zenodo record 13862 (v1.0.4), CC BY 4.0. Mark Cartwright and Bryan Pardo, "VocalSketch:
Vocally Imitating Audio Concepts", CHI 2015, doi:10.1145/2702123.2702387.
"""

from collections.abc import Iterator
from pathlib import Path

from vocalsketch.datasets.layout import DEMO_MARKER, Layout
from vocalsketch.datasets.names import Files, composed
from vocalsketch.datasets.records import (
    NOT_DISTRIBUTED,
    Corpus,
    Faults,
    Imitation,
    OnBadAudio,
    Sound,
)
from vocalsketch.datasets.tables import read_rows
from vocalsketch.errors import DatasetError

EVERYDAY = "everyday"

FIRST_SET = ("vocal_imitations.csv", "vocal_imitations")
# The second table's name is misspelt in VocalSketch v1.1.
SECOND_SET = ("vocal_imitaitons_set2.csv", "vocal_imitations_set2")
ONE_ROW = "Keep one row of each."

_CATEGORY_OF_SUBSET = {"everyday sounds": EVERYDAY}
_TRUTH = {"true": True, "false": False, "": False}
_COLUMNS = ("filename", "stimulus_type", "sound_recording")


def load_vocalsketch(
    root: Path, on_bad_audio: OnBadAudio = "error", *, second_set: bool = False
) -> Corpus:
    """Read a tree of VocalSketch v1.0.4 or v1.1.

    The imitations are those made of a sound recording, included, neither draft nor training. They
    are linked to sounds by the recording's file name, since labels recur across categories.
    Everyday recordings that are absent are listed in ``Corpus.missing`` and left out with their
    imitations: VocalSketch does not distribute them. ``second_set`` adds v1.1's, whose ids are
    damaged: a file name is the key.

    Raises:
        DatasetError: A table is missing or damaged, a file is gone, or nothing is left.
    """
    faults = Faults(root, on_bad_audio)
    files = Files(root)
    sounds, absent = _read_sounds(files, faults)
    imitations: dict[str, Imitation] = {}
    for table, folder in (FIRST_SET, SECOND_SET) if second_set else (FIRST_SET,):
        included = _included_folder(files, folder)
        for row in rows_of_the_task(files.place(table), _COLUMNS):
            if row["stimulus_type"].lower() != "sound recording":
                continue
            name, target = composed(row["filename"]), composed(row["sound_recording"])
            path = files.find(f"{included}/{name}")
            sound = files.find(f"sound_recordings/{target}")
            target = composed(sound.name) if sound else target
            if name in imitations:
                faults.add(f"repeats imitations in {table}", repr(name), ONE_ROW)
            if target not in sounds and target not in absent:
                what = f"names in {table} what sound_recordings.csv lacks"
                faults.add(what, target, "Take both tables from one release.")
            if path is None:
                faults.add_gone(f"{included}/{name}")
            else:
                imitations[name] = Imitation(name, path, target, row["participant_id"])
    corpus = "demo" if (root / DEMO_MARKER).is_file() else LAYOUT.name
    everyday = {name for name in absent if absent[name] == EVERYDAY}
    return faults.corpus(corpus, sounds.values(), imitations.values(), {NOT_DISTRIBUTED: everyday})


def _read_sounds(files: Files, faults: Faults) -> tuple[dict[str, Sound], dict[str, str]]:
    """Return the sounds on disk by file name, and the categories of those that are absent."""
    table = files.place("sound_recordings.csv")
    sounds: dict[str, Sound] = {}
    absent: dict[str, str] = {}
    for _, row in read_rows(table, ("filename", "sound_label", "audio_concept_subset")):
        name, subset = composed(row["filename"]), row["audio_concept_subset"].lower()
        category = _CATEGORY_OF_SUBSET.get(subset, subset)
        path = files.find(f"sound_recordings/{name}")
        name = composed(path.name) if path else name
        if name in sounds or name in absent:
            faults.add(f"repeats recordings in {table.name}", repr(name), ONE_ROW)
        elif path is not None:
            sounds[name] = Sound(name, path, category, row["sound_label"])
        else:
            absent[name] = category
            if category != EVERYDAY:
                faults.add_gone(f"sound_recordings/{name}")
    return sounds, absent


def rows_of_the_task(table: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows of imitations that are included, neither draft nor training."""
    marks = ("included", "draft", "training")
    for line, row in read_rows(table, (*columns, *marks), optional=("participant_id",)):
        if [_truth(table, line, row, mark) for mark in marks] == [True, False, False]:
            yield row


def _truth(table: Path, line: int, row: dict[str, str], column: str) -> bool:
    """Read a yes or no, in the several spellings of these tables."""
    try:
        return _TRUTH[row[column].lower()]
    except KeyError:
        raise DatasetError(
            f"{table}, line {line}: {column} is {row[column]!r}, neither True nor False. Repair it."
        ) from None


def _included_folder(files: Files, folder: str) -> str:
    """Return where included imitations lie: older checkouts have ``included_vocal_imitations``."""
    candidates = [f"{folder}/included", f"included_{folder}"]
    if folder == SECOND_SET[1]:
        candidates.append(folder)
    for candidate in candidates:
        if files.place(candidate).is_dir():
            return candidate
    raise DatasetError(
        f"{files.root} has neither {' nor '.join(candidates)}: unpack the imitations beside their "
        "table."
    )


LAYOUT = Layout(
    name="vocalsketch",
    title="VocalSketch",
    source="https://zenodo.org/records/13862",
    tree="ROOT/sound_recordings.csv, ROOT/sound_recordings/<file>, ROOT/vocal_imitations.csv and "
    "ROOT/vocal_imitations/included/<file>",
    needs=(
        (FIRST_SET[0],),
        ("sound_recordings.csv",),
        ("vocal_imitations/included/", "included_vocal_imitations/"),
    ),
    signs=("sound_recordings/", "sound_labels.csv", SECOND_SET[0]),
    load=load_vocalsketch,
)
