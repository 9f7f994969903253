"""The demo's 24 everyday sounds: animals, machines, alarms, weather, hands and feet."""

from vocalsketch.datasets.synthetic.curves import (
    every,
    gate,
    glide,
    joined,
    line,
    speeding,
    steps,
    strikes,
    swell,
    wave,
)
from vocalsketch.datasets.synthetic.synthesis import (
    DRUM,
    METAL,
    Recipe,
    hiss,
    lowpassed,
    mixed,
    struck,
    tone,
)

RECIPES: dict[str, Recipe] = {
    "airplane_passing": lambda rng: (
        hiss(line(3.8, 0.05, 0.3, 1.0, 0.4, 0.1), glide(3.8, 900, 1100, 500, 300), 2.2, rng)
        + 0.3 * tone(glide(3.8, 170, 165, 120, 115), line(3.8, 0.0, 0.5, 1.0, 0.3, 0.0), 1.0, 12)
    ),
    "alarm_clock_beeps": lambda _: tone(
        line(2.1, 2000.0), steps(2.1, *(int(bit) for bit in "10101010000010101010000")), 1.5, 5
    ),
    "baby_cry": lambda _: lowpassed(
        tone(
            glide(2.6, 380, 520, 480, 350, 420, 560, 500, 360), wave(2.6, 0.77, 0.0, 1.0), 0.6, 24
        ),
        wave(2.6, 0.77, 900.0, 3200.0),
        1.5,
    ),
    "bee_buzz": lambda _: tone(
        glide(2.8, 190, 225, 200, 240, 180) * wave(2.8, 9.0, 0.97, 1.03),
        line(2.8, 0.2, 0.8, 0.4, 1.0, 0.1),
        0.5,
        30,
    ),
    "bird_chirps": lambda _: mixed(
        2.0,
        *(
            (time, tone(glide(0.13, 2600, 3800, 3000), swell(0.13, 0.03, 0.05), 2.5, 3))
            for time in (0.02, 0.22, 0.42, 1.0, 1.2, 1.4)
        ),
    ),
    "boat_horn": lambda _: lowpassed(
        tone(line(2.9, 92.0), swell(2.9, 0.2, 0.4), 0.7, 30)
        + tone(line(2.9, 117.0), swell(2.9, 0.2, 0.4), 0.7, 30),
        900.0,
    ),
    "car_starting": lambda rng: (
        lowpassed(
            tone(
                glide(3.0, 30, 32, 31, 70, 95, 60), line(3.0, 0.6, 0.6, 0.6, 1.0, 0.8, 0.6), 0.2, 60
            )
            * (0.4 + 0.6 * joined(gate(1.4, 5.0, 0.5), line(1.6, 1.0))),
            700.0,
        )
        + hiss(0.05 * line(3.0, 1.0), 1200.0, 3.0, rng)
    ),
    "cat_meow": lambda _: lowpassed(
        tone(glide(1.5, 420, 700, 720, 600, 380), line(1.5, 0.1, 0.8, 1.0, 0.6, 0.0), 0.7, 20),
        glide(1.5, 700, 2800, 2400, 900),
        2.0,
    ),
    "clock_ticking": lambda _: mixed(
        2.9,
        *(
            (time, struck(3200.0 if place % 2 else 2500.0, 0.06, METAL[:3], 0.01))
            for place, time in enumerate(every(0.5, 2.9))
        ),
    ),
    "cow_moo": lambda _: lowpassed(
        tone(glide(2.3, 110, 150, 155, 140, 95), line(2.3, 0.1, 1.0, 1.0, 0.7, 0.0), 0.6, 40),
        glide(2.3, 300, 700, 1000, 600),
        1.5,
    ),
    "crow_caws": lambda _: lowpassed(
        tone(
            glide(1.7, 620, 560, 600, 540, 590, 520) * wave(1.7, 47.0, 0.8, 1.2),
            gate(1.7, 1.77, 0.6),
            0.4,
            20,
        ),
        3000.0,
    ),
    "dog_barks": lambda rng: (
        mixed(
            1.6,
            *(
                (
                    time,
                    lowpassed(tone(glide(0.2, 320, 480, 260), line(0.2, 0.3, 1, 0.4, 0)), 1600.0),
                )
                for time in (0.05, 0.42, 1.0)
            ),
        )
        + hiss(0.2 * strikes(1.6, [0.05, 0.42, 1.0], 0.07, 0.02), 1500.0, 2.0, rng)
    ),
    "door_creak": lambda _: (
        tone(
            glide(2.5, 180, 260, 240, 420, 700, 520),
            line(2.5, 0.3, 0.9, 0.4, 1.0, 0.7, 0.0),
            0.3,
            25,
        )
        * wave(2.5, 28.0, 0.3, 1.0)
    ),
    "engine_revving": lambda rng: (
        lowpassed(
            tone(
                glide(3.2, 45, 50, 150, 60, 55, 190, 70),
                line(3.2, 0.4, 0.5, 1.0, 0.5, 0.5, 1.0, 0.5),
            ),
            1500.0,
        )
        + hiss(0.08 * line(3.2, 1.0), 700.0, 2.5, rng)
    ),
    "explosion": lambda rng: hiss(strikes(3.3, [0.1], 0.8), glide(3.3, 900, 250, 100), 2.6, rng),
    "footsteps": lambda rng: (
        hiss(strikes(2.6, every(0.52, 2.6), 0.05, 0.01), 500.0, 2.5, rng)
        + 0.5 * mixed(2.6, *((time, struck(85.0, 0.2, DRUM, 0.04)) for time in every(0.52, 2.6)))
    ),
    "frog_croaks": lambda _: (
        tone(line(2.0, 250.0), gate(2.0, 30.0, 0.6), 0.5, 14)
        * joined(*(swell(0.4, 0.15, 0.1) * share for share in (1.0, 0.0, 1.0, 0.0, 1.0)))
    ),
    "helicopter": lambda rng: hiss(
        strikes(3.4, every(0.085, 3.4), 0.03, 0.01) * line(3.4, 0.2, 0.6, 1.0), 450.0, 2.6, rng
    ),
    "kettle_whistle": lambda rng: (
        tone(glide(3.0, 900, 1700, 2300, 2350), line(3.0, 0.02, 0.3, 1.0, 1.0), 2.5, 3)
        + hiss(0.3 * line(3.0, 0.6, 0.3), 3500.0, 2.0, rng)
    ),
    "rain_shower": lambda rng: (
        hiss(line(3.5, 0.6, 1.0, 0.7), 5000.0, 3.0, rng)
        + hiss(strikes(3.5, sorted(rng.uniform(0, 3.4, 60)), 0.01, 0.001), 3000.0, 1.5, rng)
    ),
    "siren_wailing": lambda _: tone(
        glide(3.6, 600, 1200, 600, 1200, 600, 1200), swell(3.6, 0.1, 0.2), 1.2, 8
    ),
    "sneeze": lambda rng: (
        lowpassed(
            tone(glide(1.4, 260, 420, 300, 200), line(1.4, 0.0, 0.4, 0.9, 0.0, 0.0, 0.0), 0.8),
            1800.0,
        )
        + hiss(strikes(1.4, [0.55], 0.16, 0.03), glide(1.4, 3000, 5500, 2500), 2.0, rng)
    ),
    "water_drips": lambda _: mixed(
        2.4,
        *(
            (time, tone(glide(0.08, 700, 1700), strikes(0.08, [0.0], 0.025), 2.5, 2))
            for time in speeding(0.55, 0.22, 2.4)
        ),
    ),
    "wolf_howl": lambda _: tone(
        glide(3.3, 280, 520, 640, 630, 600, 560, 330), swell(3.3, 0.5, 0.8), 1.8, 8
    ),
}
