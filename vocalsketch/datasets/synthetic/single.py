"""The demo's 24 sounds of a single synthesizer: one frequency-modulation voice, many settings."""

from vocalsketch.datasets.synthetic.curves import (
    every,
    gate,
    glide,
    line,
    speeding,
    steps,
    strikes,
    swell,
    wave,
)
from vocalsketch.datasets.synthetic.synthesis import (
    Recipe,
    frequency_modulated,
    hiss,
    layered,
    tone,
)

RECIPES: dict[str, Recipe] = {
    "am_buzz": lambda _: frequency_modulated(
        line(2.0, 140.0), wave(2.0, 14.0, 0.0, 1.0) * swell(2.0, 0.05, 0.3), 1.0, 3.0
    ),
    "bleep_morse": lambda _: tone(
        line(2.2, 780.0), steps(2.2, *(int(bit) for bit in "101110100011101010111000")), 2.0, 3
    ),
    "bubble_rise": lambda _: tone(
        glide(1.9, 200, 700) * wave(1.9, 7.0, 0.75, 1.5), gate(1.9, 7.0, 0.8), 2.5, 3
    ),
    "buzz_fall": lambda _: frequency_modulated(
        glide(1.7, 420, 300, 90), line(1.7, 1.0, 0.9, 0.0), 0.5, line(1.7, 5.0, 1.0)
    ),
    "chirp_train": lambda _: tone(
        1000.0 + 1500.0 * strikes(2.0, every(0.25, 2.0), 0.07), gate(2.0, 4.0, 0.5), 2.0, 3
    ),
    "click_slowing": lambda rng: hiss(
        strikes(2.6, speeding(0.08, 0.6, 2.6), 0.012, 0.001), 2500.0, 2.0, rng
    ),
    "cluster_drone": lambda _: layered(
        frequency_modulated(line(3.6, note), swell(3.6, 0.7, 1.2), 2.0, 1.5)
        for note in (98.0, 104.0, 111.0)
    ),
    "comb_sweep": lambda _: frequency_modulated(
        line(2.8, 110.0), swell(2.8, 0.1, 0.3), 3.0, wave(2.8, 0.7, 0.0, 9.0)
    ),
    "crackle_fade": lambda rng: hiss(
        strikes(2.4, sorted(rng.uniform(0.0, 2.3, 45)), 0.008, 0.001) * line(2.4, 1.0, 0.1),
        4000.0,
        2.5,
        rng,
    ),
    "digital_gong": lambda _: frequency_modulated(
        line(3.5, 120.0), strikes(3.5, [0.02], 1.1), 1.73, 6.0 * strikes(3.5, [0.02], 0.7)
    ),
    "double_swell": lambda _: frequency_modulated(
        line(2.8, 247.0), wave(2.8, 0.714, 0.0, 1.0), 1.0, wave(2.8, 0.714, 0.0, 4.0)
    ),
    "falling_sirens": lambda _: tone(
        1200.0 - 800.0 * ((line(2.4, 0.0, 3.0)) % 1.0), gate(2.4, 1.25, 0.9), 1.5, 6
    ),
    "glitch_steps": lambda rng: frequency_modulated(
        steps(1.7, *rng.uniform(150, 1800, 17)), gate(1.7, 10.0, 0.7), 1.5, 2.0
    ),
    "hum_pulse": lambda _: tone(
        line(2.7, 80.0), 0.15 + strikes(2.7, every(0.65, 2.7), 0.2, 0.1), 1.5, 8
    ),
    "metal_hits": lambda _: frequency_modulated(
        line(1.9, 620.0),
        strikes(1.9, [0.02, 0.3, 0.9, 1.05, 1.2], 0.1),
        1.41,
        5.0 * strikes(1.9, [0.02, 0.3, 0.9, 1.05, 1.2], 0.08),
    ),
    "noise_gate": lambda rng: hiss(gate(2.1, 2.4, 0.5), 3500.0, 2.0, rng),
    "phone_warble": lambda _: tone(wave(2.2, 12.0, 1000.0, 1350.0), gate(2.2, 0.92, 0.65), 2.0, 4),
    "pulse_rising": lambda _: tone(
        glide(2.5, 90, 180, 720), swell(2.5, 0.1, 0.1), 0.9, 20, odd=True
    ),
    "ring_mod_fall": lambda _: (
        tone(glide(2.1, 1400, 500, 180), line(2.1, 0.3, 1.0, 0.2), 2.0, 3)
        * wave(2.1, 35.0, 0.2, 1.0)
    ),
    "robot_syllables": lambda _: frequency_modulated(
        steps(2.0, 130, 165, 130, 110, 196, 147),
        gate(2.0, 3.0, 0.8),
        2.0,
        wave(2.0, 3.0, 0.5, 5.0),
    ),
    "square_octaves": lambda _: tone(
        steps(1.8, 110, 220, 440, 880, 440, 220), swell(1.8, 0.02, 0.1), 1.0, 19, odd=True
    ),
    "static_burst": lambda rng: hiss(
        line(1.5, 0.0, 1.0, 0.9, 0.2, 0.05, 0.0), glide(1.5, 6000, 1500), 3.0, rng
    ),
    "vibrato_whistle": lambda _: tone(
        glide(2.4, 700, 1000, 800) * wave(2.4, 5.5, 0.93, 1.07), swell(2.4, 0.2, 0.4), 3.0, 3
    ),
    "warp_zap": lambda _: frequency_modulated(
        glide(1.3, 90, 1600, 300, 60), line(1.3, 0.6, 1.0, 0.6, 0.0), 0.5, line(1.3, 1.0, 6.0)
    ),
}
