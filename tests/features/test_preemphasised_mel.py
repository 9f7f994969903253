"""EfficientAT's front end, where no reference array is at hand."""

import numpy as np
import pytest
import torch
from torchaudio.compliance.kaldi import get_mel_banks

from vocalsketch.errors import ConfigError
from vocalsketch.features.mel import PreemphasisedMel


def test_silence_is_the_floor_and_a_tone_is_loudest_in_its_band() -> None:
    front_end = PreemphasisedMel(seconds=0.5)
    assert front_end.shape == (128, 50)
    silent = front_end(torch.zeros(1, front_end.samples))
    np.testing.assert_allclose(silent, (np.log(1e-5) + 4.5) / 5, rtol=1e-5)
    time = torch.arange(front_end.samples) / 32_000
    tone = front_end(torch.sin(2 * torch.pi * 3_000 * time)[None])[0, :, 25]
    band = int(np.abs(front_end.frequencies() - 3_000).argmin())
    assert int(tone.argmax()) == band


def test_bands_are_kaldis() -> None:
    filters = PreemphasisedMel().filters().T
    theirs, _ = get_mel_banks(128, 1024, 32_000.0, 0.0, 15_000.0, 100.0, -500.0, 1.0)
    np.testing.assert_allclose(filters[:-1], theirs.T, atol=1e-4)
    assert not filters[-1].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maximum_frequency": 17_000.0}, "half of the sample rate 32000"),
        ({"points": 512}, "points is 512: give at least the window, 800"),
        ({"seconds": 0.0}, "seconds is 0.0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PreemphasisedMel(**options)
