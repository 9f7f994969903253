"""The manner of an imitation: what someone keeps of a sound, exaggerates or leaves out.

People do not follow a sound as an instrument would. They cut it into syllables, each with an onset
of the lips or the tongue; a pause becomes silence and a ripple a trill; whole imitations are
whispered, hummed or whistled; repetitions are left out or added.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from vocalsketch.voice.listening import FLOOR, Frames, Heard
from vocalsketch.voice.people import LONGEST, Person, wavering

FRAMES = 100  # a second
SOURCES = "followed", "whispered", "hummed", "whistled"
CONSONANTS = "none", "plosive", "click", "fricative", "nasal"


@dataclass(frozen=True)
class Manner:
    """How one imitation is made."""

    source: str  # of ``SOURCES``: voiced where the sound is periodic, never, always, or a whistle
    syllabic: bool  # whether every onset begins a syllable of one shape
    shortest: float  # seconds between the beginnings of two syllables at least
    share: float  # of a syllable's time up to the next that is not a pause
    consonant: str  # of ``CONSONANTS``: how a syllable begins
    gesture: float  # octaves that brightness moves in a syllable, from its beginning to its end
    bend: float  # octaves that the pitch moves in a syllable
    contrast: float  # factor on what loudness does within 0.4 s, in dB
    ignored: float  # dB below the loudest; what is softer is passed over
    tempo: float  # factor on durations
    medians: tuple[int, int, int, int]  # frames of the median filters over ``Heard``'s contours
    bright_slope: float  # factor on brightness's motion
    bright_offset: float  # octaves
    trill: float  # Hz; 0 is none
    friction_width: float  # octaves of the noises


def manner(sound: Heard, rng: np.random.Generator) -> Manner:
    """Return a manner in which somebody may imitate the sound."""
    loud = sound.loudness > -20.0
    periodic = float(np.median(sound.periodicity[loud])) if loud.any() else 0.0
    # A drum's voice is brighter than the drum, and mostly consonant.
    short = loud.sum() < 0.35 * FRAMES
    consonants = [0.15, 0.45, 0.1, 0.27, 0.03] if short else [0.25, 0.35, 0.1, 0.22, 0.08]
    return Manner(
        source=_source(periodic, rng),
        syllabic=bool(rng.random() < 0.55),
        shortest=rng.uniform(0.09, 0.2),
        share=rng.uniform(0.35, 1.0),
        consonant=str(rng.choice(CONSONANTS, p=consonants)),
        gesture=rng.choice([0.0, rng.normal(0.0, 0.8)]),
        bend=rng.choice([0.0, rng.normal(0.0, 0.25)]),
        contrast=float(np.exp(rng.normal(0.35, 0.5))),
        ignored=rng.uniform(18.0, 45.0),
        tempo=float(np.clip(np.exp(rng.normal(0.0, 0.2)), 0.6, 1.8)),
        medians=tuple(int(2 * rng.integers(0, 9) ** 1.3 / 2) | 1 for _ in range(4)),  # type: ignore[arg-type]
        bright_slope=rng.uniform(0.3, 1.3),
        bright_offset=rng.normal(1.0 if short else 0.0, 0.6 if short else 0.4),
        trill=rng.uniform(17.0, 32.0) if rng.random() < 0.08 else 0.0,
        friction_width=rng.uniform(0.25, 1.0),
    )


def _source(periodic: float, rng: np.random.Generator) -> str:
    """Return a source: noise is seldom hummed, a tone seldom whispered."""
    drawn = rng.random()
    if drawn < 0.2:
        return "whispered" if rng.random() > 0.8 * periodic else "hummed"
    if drawn < 0.27:
        return "whistled" if periodic > 0.6 else "whispered"
    if drawn < 0.32:
        return "hummed"
    return "followed"


def performed(
    sound: Heard, person: Person, how: Manner, rng: np.random.Generator
) -> tuple[Heard, list[int]]:
    """Return the sound as it is made one's own, and at which frames a consonant is spoken."""
    # The loudness of a burst must survive: a wide median would take it away.
    widths = iter((min(how.medians[0], 5), *how.medians[1:]))
    filtered = sound.changed(lambda contour: ndimage.median_filter(contour, next(widths)))
    followed = _warped(filtered, person, how, rng)
    onsets = onsets_of(followed.loudness, how.shortest)
    # what loudness does within 0.4 s is made larger, and what is soft is passed over
    slow = ndimage.gaussian_filter1d(ndimage.maximum_filter1d(followed.loudness, 41), 15)
    contrasted = slow + how.contrast * (followed.loudness - slow)
    passed_over = np.maximum(-how.ignored - followed.loudness, 0.0)
    loudness = np.asarray(np.clip(contrasted - 4.0 * passed_over, FLOOR, 0.0))
    followed = replace(followed, loudness=loudness)
    if how.syllabic:
        followed, onsets = _counted(followed, onsets, rng)
        followed = _syllables(followed, onsets, how, rng)
    return followed, onsets


def onsets_of(loudness: Frames, shortest: float) -> list[int]:
    """Return the frames at which loudness, (frames,) dB, rises by 6 within 40 ms, s apart."""
    before = np.pad(loudness, (4, 0), constant_values=FLOOR)[:-4]
    rise = np.where(loudness > -35.0, loudness - before, 0.0)
    peaks = (rise > 6.0) & (rise == ndimage.maximum_filter1d(rise, 7))
    chosen: list[int] = []
    for frame in np.flatnonzero(peaks):
        if not chosen or frame - chosen[-1] >= FRAMES * shortest:
            chosen.append(int(frame))
    return chosen


def _warped(sound: Heard, person: Person, how: Manner, rng: np.random.Generator) -> Heard:
    """Return the contours at the person's own tempo, which wavers; the end may be left out."""
    frames = len(sound.loudness)
    kept = frames
    if frames > 80 and rng.random() < 0.2:
        kept = int(frames * rng.uniform(0.5, 1.0))
    length = round(kept * np.clip(person.tempo * how.tempo, 0.5, 2.0))
    length = min(max(length, 6), round(LONGEST * FRAMES))
    width = FRAMES * person.reaction
    widths = [max(each, 0.3) for each in (0.4 * width, width, width, width)]
    return sound.at(wavering(length, kept, 0.2, rng), widths)


def _counted(sound: Heard, onsets: list[int], rng: np.random.Generator) -> tuple[Heard, list[int]]:
    """Return the sound with its last repetitions left out, or some more of them."""
    if len(onsets) < 4 or rng.random() > 0.3:
        return sound, onsets
    if rng.random() < 0.6:
        end = onsets[int(rng.integers(2, len(onsets)))]
        return sound.changed(lambda each: each[:end]), [each for each in onsets if each < end]
    again = np.arange(onsets[-3], onsets[-1])
    frames = np.concatenate([np.arange(onsets[-1]), again, np.arange(onsets[-1], len(sound.pitch))])
    frames = frames[: round(LONGEST * FRAMES)]
    added = [onsets[-1] + each - onsets[-3] for each in onsets[-2:]]
    within = [each for each in [*onsets, *added] if each < len(frames)]
    return sound.changed(lambda each: each[frames]), within


def _syllables(sound: Heard, onsets: list[int], how: Manner, rng: np.random.Generator) -> Heard:
    """Return the sound as syllables of one shape, each with its own pitch and brightness."""
    frames = len(sound.loudness)
    starts = onsets if onsets and onsets[0] < 15 else [0, *onsets]
    made = sound.changed(np.copy)
    loudness, pitch, brightness = made.loudness, made.pitch, made.brightness
    fall = rng.uniform(0.0, 40.0)  # dB over a syllable
    hold = rng.random() < 0.5  # whether pitch and brightness rest within a syllable
    for start, end in zip(starts, [*starts[1:], frames], strict=True):
        within = slice(start, end)
        course = np.arange(end - start) / max(how.share * (end - start), 1.0)
        if hold:
            weight = 10.0 ** (sound.loudness[within] / 20.0)
            pitch[within] = np.average(sound.pitch[within], weights=weight)
            brightness[within] = np.average(sound.brightness[within], weights=weight)
        if len(starts) > 1:
            loudness[within] = np.where(
                course < 1.0,
                np.maximum(sound.loudness[within], sound.loudness[within].max() - fall * course),
                sound.loudness[within] - 60.0 * (course - 1.0),
            )
        pitch[within] += how.bend * np.minimum(course, 1.0)
        brightness[within] += how.gesture * (np.minimum(course, 1.0) - 0.5)
    return replace(made, loudness=np.clip(loudness, FLOOR, 0.0))
