"""The log-mel front ends."""

import pytest
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.features.mel import ImitationLogMel, LogMel, RecordingLogMel


def test_the_papers_shapes() -> None:
    assert ImitationLogMel().shape == (39, 482)
    assert RecordingLogMel().shape == (128, 128)
    assert ImitationLogMel().window / ImitationLogMel().sample_rate == pytest.approx(8.33e-3, 1e-2)
    assert RecordingLogMel().window / RecordingLogMel().sample_rate == pytest.approx(23e-3, 1e-2)


def test_decibels_are_taken_before_the_frames_are_cut() -> None:
    front_end = RecordingLogMel()
    waveform = 0.01 * torch.randn(1, front_end.samples, generator=torch.Generator().manual_seed(0))
    waveform[:, -20_000:] *= 100  # loud only beyond the frames that are kept
    assert front_end.spectrogram(waveform).max() < -30


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    front_end = ImitationLogMel()
    tone = torch.sin(2 * torch.pi * 1000.0 * torch.arange(front_end.samples) / 16_000)
    filters = torch.tensor(front_end.filters())
    frequency = torch.argmin((torch.fft.rfftfreq(133, 1 / 16_000) - 1000.0).abs())
    loudest = front_end.spectrogram(tone[None])[0, :, 100].argmax()
    assert loudest == filters[:, frequency].argmax()


def test_bands_have_equal_area() -> None:
    front_end = LogMel(44_100, 1.0, 8192, 20, 500.0, 20_000.0, 3)
    areas = front_end.filters().sum(axis=1) * 44_100 / 8192
    assert areas == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bands": 0}, "bands is 0"),
        ({"window": -1}, "window is -1"),
        ({"maximum_frequency": 9_000.0}, "to 9000.0 Hz"),
        ({"minimum_frequency": 5_000.0}, "from 5000.0"),
        ({"frames": 483}, "between 1 and 482"),
        ({"frames": 0}, "frames is 0"),
    ],
)
def test_parameters_that_are_refused(parameters: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ImitationLogMel(**parameters)  # type: ignore[arg-type]  # a table of several types
    assert message in str(caught.value)
