"""Procedural sounds: of every family, in range, reproducible and varied."""

import numpy as np
import pytest

from vocalsketch.datasets.synthetic.procedural import FAMILIES, family_sound, procedural_sound
from vocalsketch.datasets.synthetic.sounds import SAMPLE_RATE


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_makes_audible_sounds_of_at_most_four_seconds(family: str) -> None:
    sound = family_sound(family, np.random.default_rng(5))
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() == pytest.approx(0.7)
    assert 0.05 * SAMPLE_RATE <= len(sound) <= 5.0 * SAMPLE_RATE  # with its room


def test_the_same_draw_gives_the_same_sound_and_another_another() -> None:
    def drawn(seed: int) -> bytes:
        return procedural_sound(np.random.default_rng(seed)).tobytes()

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(5)}) == 5


def test_many_sounds_are_short_and_fall_away() -> None:
    sounds = [procedural_sound(np.random.default_rng(seed)) for seed in range(40)]
    short = [len(sound) < 0.52 * SAMPLE_RATE for sound in sounds]
    assert 0.2 <= np.mean(short) <= 0.6


@pytest.mark.parametrize(
    ("seed", "samples", "deviation"),
    [(0, 18_313, 0.065854435), (1, 12_941, 0.202236489), (2, 28_664, 0.114653426)],
)
def test_a_seed_gives_the_sound_that_it_always_gave(
    seed: int, samples: int, deviation: float
) -> None:
    """Imitations in people's caches, and the published networks, are of these sounds."""
    sound = procedural_sound(np.random.default_rng(seed))
    assert len(sound) == samples
    assert sound.std() == pytest.approx(deviation, rel=1e-6)
