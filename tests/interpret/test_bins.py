"""Where bins and frames lie."""

import librosa
import numpy as np
import pytest
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.log_mel import ImitationLogMel, RecordingLogMel
from vocalsketch.interpret.bins import duration, frequencies, hop


@pytest.mark.parametrize("front_end", [CQT(), ImitationLogMel(), RecordingLogMel()])
def test_a_sine_at_a_bins_frequency_is_loudest_in_that_bin(front_end):
    for bin_ in (front_end.shape[0] // 4, front_end.shape[0] * 3 // 4):
        hertz = frequencies(front_end)[bin_]
        time = torch.arange(front_end.samples, dtype=torch.float64) / front_end.sample_rate
        tone = torch.sin(2 * torch.pi * hertz * time).float()[None]
        levels = front_end.spectrogram(tone)[0].mean(dim=1)
        assert abs(int(levels.argmax()) - bin_) <= 1


def test_the_bins_are_those_of_librosa():
    np.testing.assert_allclose(
        frequencies(CQT()), librosa.cqt_frequencies(72, fmin=50.0, bins_per_octave=12)
    )
    mel = frequencies(ImitationLogMel())
    assert len(mel) == 39
    assert 0 < mel[0] < mel[-1] < 5000


def test_frames_span_what_the_paper_says():
    assert hop(CQT()) == 420
    assert duration(ImitationLogMel()) == pytest.approx(482 * 133 / 16_000)  # 4.0 s
    assert duration(RecordingLogMel()) == pytest.approx(128 * 1024 / 44_100)  # 2.97 s


def test_a_front_end_of_another_kind_is_refused():
    class Other(FrontEnd):
        shape = (1, 1)

        def spectrogram(self, waveforms):
            return waveforms

    with pytest.raises(ConfigError, match="Other cannot be turned into sound"):
        frequencies(Other())
