"""VocalSketch: crowd-sourced vocal imitations of 240 sound recordings in four categories.

Source: zenodo record 13862 (v1.0.4), CC BY 4.0. Mark Cartwright and Bryan Pardo, "VocalSketch:
Vocally Imitating Audio Concepts", CHI 2015, doi:10.1145/2702123.2702387. The originals of everyday
sounds are not distributed with it; whoever has them can have them copied to where it expects them.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vocalsketch.datasets.discovery import audio_in, composed
from vocalsketch.datasets.records import (
    NOT_DISTRIBUTED,
    ONE_ROW,
    Corpus,
    Layout,
    OnBadAudio,
    Sound,
    Tree,
    name_at,
)
from vocalsketch.datasets.tables import read_rows
from vocalsketch.errors import DatasetError
from vocalsketch.files import written_whole

EVERYDAY = "everyday"
TRANSLATION = "everyday_filename_translation.csv"

FIRST_SET = ("vocal_imitations.csv", "vocal_imitations")
# The second table's name is misspelt in VocalSketch v1.1.
SECOND_SET = ("vocal_imitaitons_set2.csv", "vocal_imitations_set2")

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
    """
    tree = Tree(root, on_bad_audio)
    absent = _read_sounds(tree)
    for table, folder in (FIRST_SET, SECOND_SET) if second_set else (FIRST_SET,):
        # older checkouts have ``included_vocal_imitations``
        places = f"{folder}/included", f"included_{folder}", *([folder] if second_set else ())
        included = next((place for place in places if tree.place(place).is_dir()), None)
        if included is None:
            raise DatasetError(
                f"{root} has neither {' nor '.join(places)}: unpack the imitations beside their "
                "table."
            )
        for row in rows_of_the_task(tree.place(table), _COLUMNS):
            if row["stimulus_type"].lower() != "sound recording":
                continue
            name, target = composed(row["filename"]), composed(row["sound_recording"])
            sound = tree.find(f"sound_recordings/{target}")
            target = composed(sound.name) if sound else target
            if target not in tree.sounds and target not in absent:
                what = f"names in {table} what sound_recordings.csv lacks"
                tree.fault(what, target, "Take both tables from one release.")
            path = tree.audio(f"{included}/{name}")
            tree.imitated(name, path, target, row["participant_id"], table)
    everyday = {name for name in absent if absent[name] == EVERYDAY}
    return tree.corpus(name_at(root, VOCALSKETCH.name), {NOT_DISTRIBUTED: everyday})


def _read_sounds(tree: Tree) -> dict[str, str]:
    """Read the sounds on disk; return the categories of those that are absent."""
    table = tree.place("sound_recordings.csv")
    absent: dict[str, str] = {}
    for _, row in read_rows(table, ("filename", "sound_label", "audio_concept_subset")):
        name = composed(row["filename"])
        category = row["audio_concept_subset"].lower().removesuffix(" sounds")
        found = tree.find if category == EVERYDAY else tree.audio
        path = found(f"sound_recordings/{name}")
        name = composed(path.name) if path else name
        if name in tree.sounds or name in absent:
            tree.fault(f"repeats recordings in {table.name}", repr(name), ONE_ROW)
        elif path is not None:
            tree.sounds[name] = Sound(name, path, category, row["sound_label"])
        else:
            absent[name] = category
    return absent


def rows_of_the_task(table: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Yield the rows of imitations that are included, neither draft nor training."""
    marks = ("included", "draft", "training")
    for _, row in read_rows(table, (*columns, *marks), optional=("participant_id",)):
        if [row[mark].lower() == "true" for mark in marks] == [True, False, False]:
            yield row


class Import(NamedTuple):
    """What became of each original, by name."""

    copied: list[str]  # now, under VocalSketch's names
    present: list[str]  # before, likewise; they are left as they are
    not_found: list[str]  # that the folder lacks, under the originals' names


def import_everyday(source: Path, root: Path) -> Import:
    """Copy the originals of Marcel's set from ``source`` to VocalSketch's names for them.

    File names are compared without regard to case; folders within ``source`` are looked through.

    Raises:
        DatasetError: The folder or the table is missing, or nothing in the folder fits the table.
        StorageError: A file cannot be written.
    """
    if not source.is_dir():
        raise DatasetError(f"{source} is not a folder: give the one with the everyday originals.")
    originals = {composed(path.name).casefold(): path for path in audio_in(source)}
    done = Import([], [], [])
    for _, row in read_rows(root / TRANSLATION, ("marcel_filename", "vocalsketch_filename")):
        old, new = row["marcel_filename"], Path(row["vocalsketch_filename"]).name
        original = originals.get(composed(old).casefold())
        if (root / "sound_recordings" / new).exists():
            done.present.append(new)
        elif original is None:
            done.not_found.append(old)
        else:
            with written_whole(root / "sound_recordings" / new) as temporary:
                shutil.copyfile(original, temporary)
            done.copied.append(new)
    if done.not_found and not done.copied:
        raise DatasetError(
            f"{source} holds none of the {len(done.not_found)} files that {TRANSLATION} names, "
            f"such as {done.not_found[0]}: give the folder with the everyday originals."
        )
    return done


VOCALSKETCH = Layout(
    name="vocalsketch",
    title="VocalSketch",
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
