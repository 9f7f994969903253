"""The demo corpus on disk, in the layout of VocalSketch v1.0.4."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import signal

from vocalsketch.datasets.records import DEMO_MARKER
from vocalsketch.datasets.synthetic.sounds import (
    CATALOGUE,
    generator,
    made_together,
    recording,
    write_wav,
)
from vocalsketch.datasets.synthetic.synthesis import SAMPLE_RATE
from vocalsketch.files import write_table
from vocalsketch.voice import listening
from vocalsketch.voice.people import Person, imitation, person

PEOPLE = 12
IMITATIONS = 10  # of each sound
SATISFACTIONS = [f"{how} satisfied" for how in ("Not so", "Somewhat", "Mostly", "Completely")]
SATISFACTIONS.insert(2, "Neutral")
IMITATION_COLUMNS = (
    "id filename stimulus_type included draft training participant_id satisfaction sound_label "
    "sound_label_id sound_recording sound_recording_id audio_concept_subset "
    "participants_sound_recording_description "
    "participants_sound_recording_description_confidence description_match"
)
NOTICE = (
    "Made by vocalsketch: every sound is synthesised and every imitation comes from a model of a\n"
    "voice. No human being imitated anything here. Results on it say that the program works, and\n"
    "nothing about how well a method understands people.\n"
)


@dataclass(frozen=True)
class Item:
    """A sound of the catalogue with the ids it has in the tables."""

    category: str
    name: str
    sound_id: int
    label_id: int
    imitation_ids: tuple[int, ...]

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name.replace("_", " ")


def items() -> tuple[Item, ...]:
    """Return every sound of the demo with its ids, sixteen digits as in VocalSketch."""
    rng = generator("ids")
    names = [(category, name) for category in CATALOGUE for name in CATALOGUE[category]]
    ids = rng.integers(4_500_000_000_000_000, 6_750_000_000_000_000, (len(names), 2 + IMITATIONS))
    return tuple(
        Item(category, name, int(row[0]), int(row[1]), tuple(int(each) for each in row[2:]))
        for (category, name), row in zip(names, ids, strict=True)
    )


def write(folder: Path, chosen: Sequence[Item] | None = None) -> None:
    """Write the chosen sounds (all if left out) and their imitations, the tables, and a marker."""
    chosen = items() if chosen is None else chosen
    people = [person(number, generator("person", str(number))) for number in range(PEOPLE)]
    _write_tables(folder, chosen, people)
    made_together(lambda item: _make_item(folder, item, people), chosen, "demo corpus", "sound")
    (folder / DEMO_MARKER).write_text(NOTICE, encoding="utf-8")


def _make_item(folder: Path, item: Item, people: list[Person]) -> None:
    waveform = recording(item.category, item.name)
    write_wav(folder / "sound_recordings" / f"{item.name}.wav", waveform, SAMPLE_RATE)
    sound = listening.heard(
        signal.resample_poly(waveform, listening.SAMPLE_RATE // 100, SAMPLE_RATE // 100)
    )
    included = folder / "vocal_imitations" / "included"
    for number, imitation_id in zip(_imitators(item), item.imitation_ids, strict=True):
        rng = generator("imitation", item.name, str(number))
        sung = imitation(people[number], sound, rng)
        write_wav(included / f"{item.label} - {imitation_id}.wav", sung, listening.SAMPLE_RATE)


def _imitators(item: Item) -> list[int]:
    """Return who imitates the sound: so many people, none twice."""
    rng = generator("imitators", item.name)
    return [int(number) for number in rng.permutation(PEOPLE)[:IMITATIONS]]


def _write_tables(folder: Path, chosen: Sequence[Item], people: list[Person]) -> None:
    write_table(
        folder / "sound_labels.csv",
        ("id", "label", "audio_concept_subset"),
        ((item.label_id, item.label, item.category) for item in chosen),
    )
    write_table(
        folder / "sound_recordings.csv",
        ("id", "filename", "sound_label", "sound_label_id", "audio_concept_subset"),
        (
            (item.sound_id, f"{item.name}.wav", item.label, item.label_id, _subset(item))
            for item in chosen
        ),
    )
    write_table(
        folder / "vocal_imitations.csv",
        IMITATION_COLUMNS.split(),
        (row for item in chosen for row in _imitation_rows(item, people)),
    )


def _imitation_rows(item: Item, people: list[Person]) -> Iterable[tuple[object, ...]]:
    satisfied = generator("satisfaction", item.name).integers(0, len(SATISFACTIONS), IMITATIONS)
    for number, imitation_id, rating in zip(
        _imitators(item), item.imitation_ids, satisfied, strict=True
    ):
        yield (
            imitation_id,
            f"{item.label} - {imitation_id}.wav",
            "sound recording",
            *(True, False, False),
            people[number].name,
            SATISFACTIONS[rating],
            item.label,
            item.label_id,
            f"{item.name}.wav",
            item.sound_id,
            _subset(item),
            *("", "", ""),
        )


def _subset(item: Item) -> str:
    """Return the category as VocalSketch's tables of recordings and imitations spell it."""
    return "everyday sounds" if item.category == "everyday" else item.category
