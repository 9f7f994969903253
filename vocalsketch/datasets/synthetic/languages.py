"""Stand-ins for seven languages: made-up rhythm, vowels and melody, in the layout of VoxForge."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from vocalsketch.datasets.synthetic import sounds
from vocalsketch.datasets.synthetic.cache import MARKER, made_together, write_wav
from vocalsketch.datasets.synthetic.sounds import generator
from vocalsketch.voice.people import Person, person
from vocalsketch.voice.voice import SAMPLE_RATE, Articulation, Frames, utter

SPEAKERS = 6  # of each language
CLIPS = 4  # of each speaker
NOTICE = (
    "Made by vocalsketch: no language is spoken here. Each folder holds syllables without\n"
    "meaning, in a rhythm, with vowels and with a melody of its own, from a model of a voice.\n"
)


@dataclass(frozen=True)
class Language:
    """What tells one stand-in from another.

    Attributes:
        rate: Syllables per second.
        long: Factor on the length of the first syllable of a word.
        vowels: Places on ``voice.VOWELS``'s axis, and what the prompts write for them.
        hissing: Share of syllables that begin with a fricative rather than a voiced consonant.
        frication: Its centre, Hz.
        melody: Octaves above the speaker's pitch, syllable by syllable through a word.
    """

    rate: float
    long: float
    vowels: dict[str, float]
    hissing: float
    frication: float
    melody: Sequence[float]


LANGUAGES = {name: Language(**values) for name, values in sounds.LANGUAGES.items()}


def write(folder: Path, submissions: Sequence[tuple[str, int]] | None = None) -> None:
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
    (folder / MARKER).write_text(NOTICE, encoding="utf-8")


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
        write_wav(submission / "wav" / f"{stem}.wav", waveform, SAMPLE_RATE)
        prompts.append(f"{submission.name}/mfc/{stem} {prompt.upper()}\n")
    etc = submission / "etc"
    etc.mkdir()
    (etc / "PROMPTS").write_text("".join(prompts), encoding="utf-8")
    (etc / "README").write_text(
        f"User Name:{name}{speaker.name}\n\nLanguage: {name.upper()} (synthetic stand-in)\n"
        f"Sampling Rate: {SAMPLE_RATE}\nNumber of channels: 1\n",
        encoding="utf-8",
    )
