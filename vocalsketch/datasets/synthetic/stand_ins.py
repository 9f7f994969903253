"""Stand-ins in others' layouts: seven made-up languages (VoxForge), city sounds (UrbanSound8K)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from scipy import ndimage, signal

from vocalsketch.datasets.records import DEMO_MARKER
from vocalsketch.datasets.synthetic import sounds
from vocalsketch.datasets.synthetic.sounds import SCENES, generator, made, made_together, write_wav
from vocalsketch.datasets.synthetic.synthesis import SAMPLE_RATE, Curve, hiss
from vocalsketch.files import write_table
from vocalsketch.voice.listening import SAMPLE_RATE as VOICE_RATE
from vocalsketch.voice.listening import Frames
from vocalsketch.voice.people import Articulation, Person, person, utter

SPEAKERS = 6  # of each language
CLIPS = 4  # of each speaker
LANGUAGES_NOTICE = (
    "Made by vocalsketch: no language is spoken here. Each folder holds syllables without\n"
    "meaning, in a rhythm, with vowels and with a melody of its own, from a model of a voice.\n"
)


@dataclass(frozen=True)
class Language:
    """What tells one stand-in from another."""

    rate: float  # syllables per second
    long: float  # factor on the length of the first syllable of a word
    vowels: dict[str, float]  # places on ``voice.VOWELS``'s axis, and what the prompts write
    hissing: float  # share of syllables that begin with a fricative, not a voiced consonant
    frication: float  # its centre, Hz
    melody: Sequence[float]  # octaves above the speaker's pitch, syllable by syllable of a word


LANGUAGES = {name: Language(**values) for name, values in sounds.LANGUAGES.items()}


def write_languages(folder: Path, submissions: Sequence[tuple[str, int]] | None = None) -> None:
    """Write submissions, told by language and number (all if left out), and last the marker.

    They lie in ``<language>/<speaker>-<date>-<code>``.
    """
    if submissions is None:
        submissions = [(name, number) for name in LANGUAGES for number in range(SPEAKERS)]
    made_together(
        lambda each: _make_submission(folder / each[0], *each),
        submissions,
        "demo languages",
        "speaker",
    )
    (folder / DEMO_MARKER).write_text(LANGUAGES_NOTICE, encoding="utf-8")


def clip(language: Language, speaker: Person, rng: np.random.Generator) -> tuple[str, Frames]:
    """Return a clip's prompt and its waveform at 16 kHz: words for 2 to 4 seconds."""
    frames = round(100 * rng.uniform(2.0, 3.8))
    contours: list[Frames] = []
    words: list[str] = []
    while sum(contour.shape[1] for contour in contours) < frames:
        word, contour = _word(language, rng)
        words.append(word)
        contours.append(contour)
    pitch, level, voicing, vowel, frication = np.concatenate(contours, axis=1)[:, :frames]
    smooth = 1.5  # frames: the tongue does not jump
    falling = np.linspace(0.1, -0.15, frames)
    octaves = ndimage.gaussian_filter1d(pitch, 3.0) + falling + 0.35 * speaker.reach
    spoken = utter(
        speaker.voice,
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
    return " ".join(words), rng.uniform(0.3, 0.9) * noisy / np.abs(noisy).max()


def _word(language: Language, rng: np.random.Generator) -> tuple[str, Frames]:
    """Return a word and its pitch (octaves), level, voicing, vowel and frication, (5, frames)."""
    written, parts = "", []
    for place, height in enumerate(language.melody):
        letter = str(rng.choice(list(language.vowels)))
        hissing = rng.random() < language.hissing
        written += ("s" if hissing else "m") + letter
        length = (language.long if place == 0 else 1.0) / language.rate * rng.uniform(0.88, 1.12)
        frames = max(round(100 * length), 4)
        onset = np.arange(frames) < 0.35 * frames
        parts.append(
            np.stack(
                [
                    np.full(frames, height + rng.normal(0.0, 0.03)),
                    np.where(onset, -14.0 if hissing else -18.0, 0.0),
                    np.where(onset & hissing, 0.0, 1.0),
                    np.full(frames, language.vowels[letter]),
                    np.full(frames, language.frication),
                ]
            )
        )
    return written, np.concatenate(parts, axis=1)


def _make_submission(folder: Path, name: str, number: int) -> None:
    rng = generator("language", name, str(number))
    speaker = person(number, rng)
    code = "".join(chr(97 + letter) for letter in rng.integers(0, 26, 3))
    date = f"20{rng.integers(7, 18):02d}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
    submission = folder / f"{name}{speaker.name}-{date}-{code}"
    prompts = []
    for place in range(1, CLIPS + 1):
        prompt, waveform = clip(LANGUAGES[name], speaker, rng)
        stem = f"{name}-{place:04d}"
        write_wav(submission / "wav" / f"{stem}.wav", waveform, VOICE_RATE)
        prompts.append(f"{submission.name}/mfc/{stem} {prompt.upper()}\n")
    etc = submission / "etc"
    etc.mkdir()
    (etc / "PROMPTS").write_text("".join(prompts), encoding="utf-8")
    (etc / "README").write_text(
        f"User Name:{name}{speaker.name}\n\nLanguage: {name.upper()} (synthetic stand-in)\n"
        f"Sampling Rate: {VOICE_RATE}\nNumber of channels: 1\n",
        encoding="utf-8",
    )


SOURCES = 6  # recordings of each class
SLICES = 2  # clips of each recording
FOLDS = 10
RATES = 44_100, 44_100, 48_000, 22_050, 96_000, 16_000  # hz, drawn from for each recording
URBAN_NOTICE = "Made by vocalsketch: every sound here is synthesised. This is not UrbanSound8K.\n"
COLUMNS = "slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"


def write_urban(folder: Path, recordings: Sequence[tuple[str, int]] | None = None) -> None:
    """Write recordings, told by class and number (all if left out), the table, and a marker."""
    if recordings is None:
        recordings = [(name, source) for name in SCENES for source in range(SOURCES)]
    together = made_together(
        lambda each: _make_recording(folder, *each), recordings, "demo city sounds", "recording"
    )
    rows = [row for own in together for row in own]
    write_table(folder / "metadata" / "UrbanSound8K.csv", COLUMNS, rows)
    (folder / DEMO_MARKER).write_text(URBAN_NOTICE, encoding="utf-8")


def fold(class_id: int, source: int) -> int:
    """Return the fold of a recording, 1 to 10: each holds as many recordings as any other."""
    return (3 * class_id + source) % FOLDS + 1


def _make_recording(folder: Path, name: str, source: int) -> list[tuple[object, ...]]:
    """Write the clips of one recording, all in one fold, and return their rows."""
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
        clip = _in_the_street(made(SCENES[name], rng, seconds=seconds), salience, rng)
        shared = gcd(rate, SAMPLE_RATE)
        clip = signal.resample_poly(clip, rate // shared, SAMPLE_RATE // shared)
        clip *= rng.uniform(0.2, 0.9) / np.abs(clip).max()
        write_wav(folder / "audio" / f"fold{number}" / file_name, clip, rate)
        end = start + seconds
        rows.append((file_name, recording_id, start, end, salience, number, class_id, name))
        start = round(end, 2)
    return rows


def _in_the_street(sound: Curve, salience: int, rng: np.random.Generator) -> Curve:
    """Return the sound over traffic: faint for salience 1 (foreground), near for 2."""
    traffic = hiss(np.ones(len(sound)), rng.uniform(200, 500), 3.0, rng)
    level = rng.uniform(0.02, 0.08) if salience == 1 else rng.uniform(0.08, 0.25)
    return np.asarray(sound / sound.std() + level * traffic / traffic.std())
