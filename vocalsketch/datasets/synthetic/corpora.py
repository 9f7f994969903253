"""What the built-in stand-ins hold: their sounds, imitations, words and tables, from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, product
from math import gcd
from pathlib import Path

import numpy as np
from scipy import ndimage, signal
from tqdm.contrib.concurrent import thread_map

from vocalsketch.datasets.records import DEMO_MARKER
from vocalsketch.datasets.synthetic import sounds
from vocalsketch.datasets.synthetic.sounds import CATALOGUE, SAMPLE_RATE, SCENES, generator
from vocalsketch.files import write_table
from vocalsketch.voice import listening
from vocalsketch.voice.listening import SAMPLE_RATE as VOICE_RATE
from vocalsketch.voice.listening import Frames
from vocalsketch.voice.people import Articulation, Person, imitation, person, utter

PEOPLE = 12
IMITATIONS = 10  # of each sound
SPEAKERS = 6  # of each language
CLIPS = 4  # of each speaker
SOURCES = 6  # recordings of each class of city sounds
SLICES = 2  # clips of each recording
FOLDS = 10
RATES = 44_100, 44_100, 48_000, 22_050, 96_000, 16_000  # hz, drawn from for each recording
NOTICE = (
    "Made by vocalsketch: every sound is synthesised, every imitation and every word comes from a\n"
    "model of a voice. No human being imitated or said anything here. Results on it say that the\n"
    "program works, and nothing about how well a method understands people.\n"
)


@dataclass(frozen=True)
class Item:
    """A sound of the catalogue with the ids of its imitations."""

    category: str
    name: str
    imitation_ids: tuple[int, ...]

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name.replace("_", " ")

    @property
    def imitators(self) -> list[int]:
        """Who imitates the sound: so many people, none twice."""
        rng = generator("imitators", self.name)
        return [int(number) for number in rng.permutation(PEOPLE)[:IMITATIONS]]


def items() -> tuple[Item, ...]:
    """Return every sound of the demo with its ids, sixteen digits as in VocalSketch."""
    rng = generator("ids")
    names = [(category, name) for category in CATALOGUE for name in CATALOGUE[category]]
    ids = rng.integers(4_500_000_000_000_000, 6_750_000_000_000_000, (len(names), 2 + IMITATIONS))
    return tuple(
        Item(category, name, tuple(int(each) for each in row[2:]))  # the others are nobody's
        for (category, name), row in zip(names, ids, strict=True)
    )


def write_corpus(folder: Path, chosen: Sequence[Item] | None = None) -> None:
    """Write the chosen sounds (all if left out) and their imitations, the tables, and a marker."""
    chosen = items() if chosen is None else chosen
    people = [person(number, generator("person", str(number))) for number in range(PEOPLE)]
    spelt = {"everyday": "everyday sounds"}  # in VocalSketch's tables
    write_table(
        folder / "sound_recordings.csv",
        ("filename", "sound_label", "audio_concept_subset"),
        ((f"{it.name}.wav", it.label, spelt.get(it.category, it.category)) for it in chosen),
    )
    columns = "id filename stimulus_type included draft training participant_id sound_recording"
    told = "sound recording", True, False, False
    rows = (
        (each, f"{item.label} - {each}.wav", *told, people[number].name, f"{item.name}.wav")
        for item in chosen
        for number, each in zip(item.imitators, item.imitation_ids, strict=True)
    )
    write_table(folder / "vocal_imitations.csv", columns.split(), rows)
    make = partial(_make_item, folder, people)
    # Threads, as numpy and scipy let others run; a script without a main guard can start them.
    thread_map(make, chosen, desc="demo corpus", unit="sound")
    (folder / DEMO_MARKER).write_text(NOTICE, encoding="utf-8")


def _make_item(folder: Path, people: list[Person], item: Item) -> None:
    waveform = sounds.recording(item.category, item.name)
    sounds.write_wav(folder / "sound_recordings" / f"{item.name}.wav", waveform, SAMPLE_RATE)
    heard = listening.heard(signal.resample_poly(waveform, VOICE_RATE // 100, SAMPLE_RATE // 100))
    included = folder / "vocal_imitations" / "included"
    for number, imitation_id in zip(item.imitators, item.imitation_ids, strict=True):
        sung = imitation(people[number], heard, generator("imitation", item.name, str(number)))
        sounds.write_wav(included / f"{item.label} - {imitation_id}.wav", sung, VOICE_RATE)


@dataclass(frozen=True)
class Language:
    """What tells one stand-in from another."""

    rate: float  # syllables per second
    long: float  # factor on the length of the first syllable of a word
    vowels: dict[str, float]  # places on ``voice.VOWELS``'s axis, by letter
    hissing: float  # share of syllables that begin with a fricative, not a voiced consonant
    frication: float  # its centre, Hz
    melody: Sequence[float]  # octaves above the speaker's pitch, syllable by syllable of a word


LANGUAGES = {name: Language(**values) for name, values in sounds.LANGUAGES.items()}


def write_languages(
    folder: Path, submissions: Sequence[tuple[str, int]] = (*product(LANGUAGES, range(SPEAKERS)),)
) -> None:
    """Write submissions, told by language and number, and last the marker.

    They lie in ``<language>/<speaker>-<date>-<code>``.
    """
    make = partial(_make_submission, folder)
    thread_map(make, submissions, desc="demo languages", unit="speaker")
    (folder / DEMO_MARKER).write_text(NOTICE, encoding="utf-8")


def _make_submission(folder: Path, told: tuple[str, int]) -> None:
    name, number = told
    rng = generator("language", name, str(number))
    speaker = person(number, rng)
    code = "".join(chr(97 + letter) for letter in rng.integers(0, 26, 3))
    date = f"20{rng.integers(7, 18):02d}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
    submission = folder / name / f"{name}{speaker.name}-{date}-{code}"
    for place in range(1, CLIPS + 1):
        waveform = clip(LANGUAGES[name], speaker, rng)
        sounds.write_wav(submission / "wav" / f"{name}-{place:04d}.wav", waveform, VOICE_RATE)


def clip(language: Language, speaker: Person, rng: np.random.Generator) -> Frames:
    """Return a clip's waveform at 16 kHz: words for 2 to 4 seconds."""
    frames = round(100 * rng.uniform(2.0, 3.8))
    contours: list[Frames] = []
    while sum(contour.shape[1] for contour in contours) < frames:
        contours.append(word(language, rng))
    pitch, level, voicing, vowel, frication = np.concatenate(contours, axis=1)[:, :frames]
    smooth = 1.5  # frames: the tongue does not jump
    falling = np.linspace(0.1, -0.15, frames)
    octaves = ndimage.gaussian_filter1d(pitch, 3.0) + falling + 0.35 * speaker.reach
    spoken = utter(
        speaker,
        Articulation(
            pitch=speaker.lowest * 2.0**octaves,
            level=ndimage.gaussian_filter1d(level, smooth),
            voicing=ndimage.gaussian_filter1d(voicing, smooth),
            vowel=ndimage.gaussian_filter1d(vowel, smooth),
            frication=frication,
        ),
        rng,
    )
    noise = 10.0 ** (rng.uniform(-60.0, -40.0) / 20.0) * rng.standard_normal(len(spoken))
    noisy = spoken + noise
    return np.asarray(rng.uniform(0.3, 0.9) * noisy / np.abs(noisy).max())


def word(language: Language, rng: np.random.Generator) -> Frames:
    """Return a word's pitch (octaves), level, voicing, vowel and frication, (5, frames)."""
    parts = []
    for place, height in enumerate(language.melody):
        vowel = language.vowels[str(rng.choice(list(language.vowels)))]
        hissing = rng.random() < language.hissing
        length = (language.long if place == 0 else 1.0) / language.rate * rng.uniform(0.88, 1.12)
        frames = max(round(100 * length), 4)
        onset = np.arange(frames) < 0.35 * frames
        pitch = np.full(frames, height + rng.normal(0.0, 0.03))
        level = np.where(onset, -14.0 if hissing else -18.0, 0.0)
        voicing = np.where(onset & hissing, 0.0, 1.0)
        rest = np.full(frames, vowel), np.full(frames, language.frication)
        parts.append(np.stack([pitch, level, voicing, *rest]))
    return np.concatenate(parts, axis=1)


def write_urban(
    folder: Path, recordings: Sequence[tuple[str, int]] = (*product(SCENES, range(SOURCES)),)
) -> None:
    """Write recordings, told by class and number, the table, and a marker."""
    make = partial(_make_recording, folder)
    rows = chain(*thread_map(make, recordings, desc="demo city sounds", unit="recording"))
    columns = "slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"
    write_table(folder / "metadata" / "UrbanSound8K.csv", columns, rows)
    (folder / DEMO_MARKER).write_text(NOTICE, encoding="utf-8")


def fold(class_id: int, source: int) -> int:
    """Return the fold of a recording, 1 to 10: each holds as many recordings as any other."""
    return (3 * class_id + source) % FOLDS + 1


def _make_recording(folder: Path, told: tuple[str, int]) -> list[tuple[object, ...]]:
    """Write the clips of one recording, all in one fold, and return their rows."""
    name, source = told
    rng = generator("urban", name, str(source))
    recording_id = int(rng.integers(10_000, 250_000))
    class_id = list(SCENES).index(name)
    number = fold(class_id, source)
    rate, salience = int(rng.choice(RATES)), int(rng.integers(1, 3))
    start = 0.0
    rows: list[tuple[object, ...]] = []
    for place in range(SLICES):
        seconds = round(float(rng.uniform(1.5, 4.0)), 2)
        file_name = f"{recording_id}-{class_id}-0-{place}.wav"
        scene = sounds.made(SCENES[name], rng, seconds=seconds)
        # over traffic: faint for salience 1 (foreground), near for 2
        traffic = sounds.hiss(np.ones(len(scene)), rng.uniform(200, 500), 3.0, rng)
        level = rng.uniform(0.02, 0.08) if salience == 1 else rng.uniform(0.08, 0.25)
        scene = scene / scene.std() + level * traffic / traffic.std()
        shared = gcd(rate, SAMPLE_RATE)
        scene = signal.resample_poly(scene, rate // shared, SAMPLE_RATE // shared)
        scene *= rng.uniform(0.2, 0.9) / np.abs(scene).max()
        sounds.write_wav(folder / "audio" / f"fold{number}" / file_name, scene, rate)
        end = start + seconds
        rows.append((file_name, recording_id, start, end, salience, number, class_id, name))
        start = round(end, 2)
    return rows
