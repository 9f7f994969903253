"""The default system's file: what it is, and what it makes of four sounds and slower ones."""

import numpy as np
import pytest
import torch
from scipy.signal import chirp

from vocalsketch.features.audio import clip_of
from vocalsketch.systems import load_system
from vocalsketch.systems.checkpoints import DEFAULT

RATE = 16_000


def sounds(seconds: float) -> list[np.ndarray]:
    """A rising and a falling tone, a hiss that fades, and a beat."""
    time = np.arange(round(seconds * RATE)) / RATE
    hiss = np.random.default_rng(0).standard_normal(len(time))
    return [
        chirp(time, 300, seconds, 1_200),
        chirp(time, 1_200, seconds, 300),
        hiss * np.exp(-8 * time / seconds),
        hiss * (np.sin(2 * np.pi * 5 * time / seconds) > 0.7),
    ]


@torch.no_grad()
def test_it_finds_what_is_imitated_slower() -> None:
    system = load_system("default")
    front_end = system.front_ends["imitation"]

    def clips(made: list[np.ndarray]) -> torch.Tensor:
        ready = [clip_of(each.astype(np.float32), RATE, front_end) for each in made]
        return torch.from_numpy(np.stack(ready))

    scores = system.score(
        system.hear("imitation", clips(sounds(1.2))),
        system.hear("recording", clips(sounds(0.9))),
    ).numpy()
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.diag(scores) == pytest.approx([17.06, 15.37, 18.49, 19.78], abs=0.1)


def test_it_is_the_one_the_card_tells_of() -> None:
    assert DEFAULT.stat().st_size < 10e6
    system = load_system("default")
    assert system.fingerprint == "d48e95aef3dd6a37"
    assert system.inner_product
    assert [float(each) for each in system.get_buffer("weights")] == pytest.approx(
        [8.708, 8.708, 8.708, 0.02], rel=1e-3
    )
