"""Where the bins and frames of each front end lie, and that one may say nothing of it."""

import librosa
import numpy as np
import pytest
import torch

from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.contours import ContourFeatures
from vocalsketch.features.cqt import CQT
from vocalsketch.features.mel import ImitationLogMel, RecordingLogMel


@pytest.mark.parametrize("front_end", [CQT(), ImitationLogMel(), RecordingLogMel(), AudibleMel()])
def test_a_sine_at_a_bins_frequency_is_loudest_in_that_bin(front_end):
    for bin_ in (front_end.shape[0] // 4, front_end.shape[0] * 3 // 4):
        hertz = front_end.frequencies()[bin_]
        time = torch.arange(front_end.samples, dtype=torch.float64) / front_end.sample_rate
        tone = torch.sin(2 * torch.pi * hertz * time).float()[None]
        levels = front_end.spectrogram(tone)[0].mean(dim=1)
        assert abs(int(levels.argmax()) - bin_) <= 1


def test_the_bins_are_those_of_librosa():
    np.testing.assert_allclose(
        CQT().frequencies(), librosa.cqt_frequencies(72, fmin=50.0, bins_per_octave=12)
    )
    mel = ImitationLogMel().frequencies()
    assert len(mel) == 39
    assert 0 < mel[0] < mel[-1] < 5000


def test_frames_span_what_the_paper_says():
    assert CQT().hop == 420
    assert ImitationLogMel().hop / 16_000 == pytest.approx(0.00831, abs=1e-5)
    assert RecordingLogMel().hop * 128 / 44_100 == pytest.approx(2.97, abs=0.01)  # s


def test_a_front_end_whose_bins_are_no_frequencies_says_so_and_has_no_sound():
    contours = ContourFeatures()
    assert contours.frequencies() is None
    assert contours.inverted(torch.zeros(contours.shape)) is None
    assert contours.hop * contours.shape[1] == contours.samples
