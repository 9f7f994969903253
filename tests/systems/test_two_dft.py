"""2DFT: shifts make no difference, and it needs no file."""

import numpy as np
import torch

from vocalsketch.systems import load_system
from vocalsketch.systems.baselines import TwoDFT


def test_a_shift_along_time_and_pitch_makes_no_difference() -> None:
    system = TwoDFT()
    clip = torch.randn(1, 12, 20)
    moved = torch.roll(clip, (3, 7), dims=(1, 2))
    other = torch.randn(1, 12, 20)
    embedded = system.embed("recording", torch.cat([moved, other]))
    scores = system.score(system.embed("imitation", clip), embedded)
    torch.testing.assert_close(scores[0, 0], torch.tensor(1.0))
    assert scores[0, 1] < 0.95
    expected = np.abs(np.fft.fft2(other[0].numpy()))[:, :11].ravel()
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(embedded[1], expected, rtol=1e-4, atol=1e-6)


def test_it_is_loaded_by_its_name_and_rebuilt_from_its_description() -> None:
    system = load_system("two_dft")
    assert TwoDFT.from_description(system.description()).fingerprint == system.fingerprint
    assert system.hear("imitation", torch.zeros(1, 161_280)).shape == (1, 72 * 193)
