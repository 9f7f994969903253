"""The demo's 24 patches of commercial synthesizers: pads, basses, leads, sweeps, stabs."""

from vocalsketch.datasets.synthetic.curves import (
    every,
    gate,
    glide,
    line,
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
    lowpassed,
    mixed,
    struck,
    tone,
)

RECIPES: dict[str, Recipe] = {
    "acid_bass_line": lambda _: lowpassed(
        tone(steps(2.2, 65, 65, 131, 65, 78, 65, 98, 131), gate(2.2, 3.64, 0.8), 1.0, 40),
        300.0 + 2500.0 * strikes(2.2, every(0.275, 2.2), 0.08),
        3.0,
    ),
    "ambient_drone": lambda _: lowpassed(
        tone(line(3.8, 110.0), swell(3.8, 1.0, 1.0), 1.0, 30)
        + tone(line(3.8, 110.9), swell(3.8, 1.0, 1.0), 1.0, 30),
        wave(3.8, 0.5, 300.0, 1200.0),
    ),
    "analog_brass_stabs": lambda _: lowpassed(
        tone(line(1.9, 175.0), strikes(1.9, [0.02, 0.5, 0.75, 1.2], 0.16, 0.03), 0.8, 40),
        500.0 + 4000.0 * strikes(1.9, [0.02, 0.5, 0.75, 1.2], 0.12, 0.03),
    ),
    "arpeggio_rising_fast": lambda _: tone(
        steps(1.6, *(131 * 2 ** (note / 12) for note in (0, 4, 7, 12, 16, 19, 24, 28, 31, 36))),
        gate(1.6, 6.25, 0.7),
        1.0,
        15,
        odd=True,
    ),
    "bass_drop": lambda _: tone(
        glide(2.4, 240, 110, 60, 38), line(2.4, 1.0, 1.0, 0.8, 0.0), 1.6, 8
    ),
    "bell_chime_pair": lambda _: mixed(
        2.6,
        *(
            (time, frequency_modulated(line(1.6, pitch), strikes(1.6, [0.0], 0.5), 1.41, 2.0))
            for time, pitch in ((0.02, 880.0), (0.9, 660.0))
        ),
    ),
    "choir_pad": lambda _: lowpassed(
        layered(
            tone(wave(3.4, rate, note * 0.995, note * 1.005), swell(3.4, 0.8, 0.9), 0.8, 24)
            for rate, note in ((4.1, 220.0), (4.9, 277.0), (5.6, 330.0))
        ),
        1100.0,
        1.5,
    ),
    "clav_riff": lambda _: tone(
        steps(1.8, 147, 147, 175, 147, 196, 147, 220, 262),
        strikes(1.8, every(0.225, 1.8, 0.005), 0.07),
        0.4,
        24,
    ),
    "dark_whoosh": lambda rng: hiss(
        line(2.6, 0.0, 0.3, 1.0, 0.2, 0.0), glide(2.6, 250, 600, 2500, 900, 250), 1.2, rng
    ),
    "echo_blips": lambda _: layered(
        0.6**turn * mixed(2.2, (0.02 + 0.3 * turn, tone(glide(0.09, 900, 1500), line(0.09, 1, 0))))
        for turn in range(7)
    ),
    "electric_piano_chord": lambda _: layered(
        frequency_modulated(
            line(2.0, note), strikes(2.0, [0.02], 0.5), 14.0, 0.5 * strikes(2.0, [0.02], 0.05)
        )
        for note in (262.0, 330.0, 392.0)
    ),
    "fat_lead_slides": lambda _: lowpassed(
        tone(glide(2.3, 330, 330, 494, 494, 440, 660, 660), swell(2.3, 0.02, 0.1), 0.9, 30)
        + tone(glide(2.3, 333, 333, 498, 498, 444, 666, 666), swell(2.3, 0.02, 0.1), 0.9, 30),
        3500.0,
    ),
    "gated_pad": lambda _: layered(
        tone(line(2.6, note), gate(2.6, 5.0, 0.55) * swell(2.6, 0.4, 0.4), 1.0, 20)
        for note in (196.0, 233.0, 294.0)
    ),
    "halo_shimmer": lambda _: layered(
        tone(line(3.6, note), wave(3.6, rate, 0.1, 1.0) * swell(3.6, 0.6, 1.2), 1.8, 5)
        for note, rate in ((880.0, 0.8), (1109.0, 1.3), (1319.0, 1.9))
    ),
    "hoover_rise": lambda _: lowpassed(
        layered(
            tone(
                glide(1.9, 98 * detune, 98 * detune, 294 * detune), swell(1.9, 0.05, 0.15), 0.9, 30
            )
            for detune in (0.99, 1.0, 1.012)
        ),
        2600.0,
    ),
    "juno_strings_fade": lambda _: layered(
        tone(wave(3.3, 0.9, note * 0.997, note * 1.003), line(3.3, 1.0, 0.8, 0.3, 0.05), 1.0, 24)
        for note in (147.0, 220.0, 294.5)
    ),
    "laser_zaps": lambda _: mixed(
        1.8,
        *(
            (time, tone(glide(0.28, 3200, 900, 180), line(0.28, 1.0, 0.7, 0.0), 1.4, 8))
            for time in (0.02, 0.42, 0.82, 1.22)
        ),
    ),
    "noise_riser": lambda rng: hiss(
        line(3.0, 0.05, 0.25, 0.6, 1.0), glide(3.0, 300, 1000, 8000), 1.0, rng
    ),
    "organ_stabs": lambda _: layered(
        tone(line(1.7, note), gate(1.7, 1.8, 0.45), 3.0, 3) for note in (131.0, 262.0, 524.0, 786.0)
    ),
    "pluck_sequence_falling": lambda _: lowpassed(
        tone(steps(2.1, 587, 494, 392, 330, 294, 247), strikes(2.1, every(0.35, 2.1, 0.005), 0.1)),
        400.0 + 5000.0 * strikes(2.1, every(0.35, 2.1, 0.005), 0.05),
    ),
    "sub_bass_wobble": lambda _: lowpassed(
        tone(line(2.8, 55.0), swell(2.8, 0.03, 0.2), 0.8, 40), wave(2.8, 3.0, 120.0, 1800.0), 2.0
    ),
    "sweep_down_pad": lambda _: lowpassed(
        tone(line(3.2, 165.0), swell(3.2, 0.05, 0.6), 0.7, 50), glide(3.2, 7000, 1800, 250), 3.0
    ),
    "tom_fill": lambda _: mixed(
        1.7,
        *(
            (0.02 + 0.2 * place, struck(note, 0.5, (1.0, 1.6), 0.11))
            for place, note in enumerate((260, 260, 205, 205, 160, 160, 115))
        ),
    ),
    "vocoder_pulse": lambda _: lowpassed(
        tone(line(2.0, 123.0), gate(2.0, 2.5, 0.75), 0.6, 40), wave(2.0, 5.0, 450.0, 2400.0), 4.0
    ),
}
