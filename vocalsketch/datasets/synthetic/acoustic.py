"""The demo's 24 acoustic instruments: blown, bowed, plucked and struck."""

from vocalsketch.datasets.synthetic.curves import (
    every,
    glide,
    line,
    speeding,
    steps,
    strikes,
    swell,
    wave,
)
from vocalsketch.datasets.synthetic.synthesis import (
    BAR,
    BELL,
    DRUM,
    HARMONICS,
    METAL,
    Recipe,
    hiss,
    layered,
    mixed,
    plucked,
    struck,
    tone,
)

RECIPES: dict[str, Recipe] = {
    "accordion_swell": lambda _: layered(
        tone(line(2.6, note), line(2.6, 0.1, 0.3, 1.0, 0.2), 0.8) for note in (262.0, 330.0, 392.5)
    ),
    "bagpipe_grace_notes": lambda _: tone(
        steps(2.4, 466, 466, 587, 466, 523, 466, 466, 587, 466, 415), swell(2.4, 0.15, 0.1), 0.6
    ),
    "bass_drum_three_hits": lambda _: mixed(
        2.0, *((time, struck(62.0, 0.8, DRUM, 0.22)) for time in (0.02, 0.75, 1.1))
    ),
    "bassoon_low_note": lambda _: tone(wave(1.9, 4.5, 97.0, 99.0), swell(1.9, 0.08, 0.15), 0.9, 24),
    "castanets_roll": lambda _: mixed(
        1.8, *((time, struck(2100.0, 0.1, METAL, 0.015)) for time in speeding(0.22, 0.05, 1.8))
    ),
    "celesta_rising_arpeggio": lambda _: mixed(
        2.2,
        *(
            (0.02 + 0.28 * place, struck(note, 1.2, HARMONICS[:3], 0.35))
            for place, note in enumerate((523, 659, 784, 1047, 1319))
        ),
    ),
    "cello_bowed_crescendo": lambda rng: (
        tone(wave(3.0, 5.5, 129.5, 132.0), line(3.0, 0.05, 0.2, 0.5, 1.0, 0.1), 1.0, 30)
        + hiss(0.15 * swell(3.0, 1.5, 0.3), 900.0, 2.0, rng)
    ),
    "cello_plucked_pair": lambda rng: mixed(
        1.7, (0.02, plucked(98.0, 0.8, rng, 0.985)), (0.62, plucked(147.0, 1.0, rng, 0.985))
    ),
    "clarinet_slow_trill": lambda _: tone(
        wave(2.0, 4.0, 294.0, 349.0), swell(2.0, 0.05, 0.1), 1.0, 19, odd=True
    ),
    "cowbell_pattern": lambda _: mixed(
        2.0,
        *(
            (time, struck(560.0, 0.35, (1.0, 1.51, 2.6, 3.9), 0.06))
            for time in (0.02, 0.35, 0.68, 0.85, 1.2, 1.55)
        ),
    ),
    "cymbal_crash": lambda rng: hiss(strikes(3.2, [0.02], 0.9), 7000.0, 2.6, rng),
    "flute_rising_run": lambda rng: (
        tone(steps(1.6, 523, 587, 659, 698, 784, 880, 988, 1047), swell(1.6, 0.05, 0.2), 2.2, 6)
        + hiss(0.1 * swell(1.6, 0.1, 0.1), 2500.0, 2.0, rng)
    ),
    "glockenspiel_falling_run": lambda _: mixed(
        2.0,
        *(
            (0.02 + 0.2 * place, struck(note, 0.9, BAR[:2], 0.25))
            for place, note in enumerate((2093, 1760, 1568, 1319, 1175, 1047))
        ),
    ),
    "guitar_plucked_string": lambda rng: plucked(196.0, 2.2, rng),
    "guitar_slow_strum": lambda rng: mixed(
        2.6,
        *(
            (0.02 + 0.14 * place, plucked(note, 2.2, rng))
            for place, note in enumerate((82.4, 123.5, 164.8, 207.7, 246.9, 329.6))
        ),
    ),
    "harp_glissando": lambda rng: mixed(
        2.4,
        *(
            (0.02 + 0.075 * place, plucked(196.0 * 2 ** (place * 2.4 / 12), 0.9, rng, 0.99))
            for place in range(20)
        ),
    ),
    "marimba_double_hit": lambda _: mixed(
        1.4, (0.02, struck(220.0, 0.9, BAR, 0.13)), (0.3, struck(220.0, 0.9, BAR, 0.13))
    ),
    "oboe_long_note": lambda _: tone(wave(3.1, 5.0, 438.0, 446.0), swell(3.1, 0.3, 0.6), 0.5, 16),
    "piccolo_staccato": lambda _: tone(
        line(1.8, 1568.0), strikes(1.8, every(0.24, 1.8), 0.06), 2.0, 4
    ),
    "snare_drum_roll": lambda rng: hiss(
        strikes(2.3, every(0.055, 2.3), 0.03) * line(2.3, 0.15, 0.4, 1.0), 2600.0, 3.0, rng
    ),
    "tambourine_shakes": lambda rng: hiss(
        strikes(2.0, every(0.31, 2.0), 0.09, 0.05), 8500.0, 1.4, rng
    ),
    "timpani_falling_hits": lambda _: mixed(
        2.6,
        *(
            (time, struck(note, 1.4, DRUM, 0.5))
            for time, note in ((0.02, 147.0), (0.8, 110.0), (1.6, 82.0))
        ),
    ),
    "trombone_slide": lambda _: tone(
        glide(2.2, 117, 117, 233, 233, 131), swell(2.2, 0.08, 0.25), 0.8, 24
    ),
    "tubular_bell": lambda _: struck(440.0, 3.4, BELL, 1.1),
}
