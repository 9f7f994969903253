"""Inversion: frequencies and times come back, scales are chosen, silence stays silence."""

import numpy as np
import pytest
import torch

from vocalsketch.features import inversion
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import standardised
from vocalsketch.features.inversion import closer_frames, magnitudes
from vocalsketch.features.level import PEAK
from vocalsketch.features.mel import LogMel

IMITATION = LogMel(16_000, 1.0, 133, 39, 0.0, 5000.0, 120)
RECORDING = LogMel(44_100, 0.7, 1024, 128, 0.0, 22_050.0, 30)
CONSTANT_Q = CQT(seconds=1.05, bins=48)
AUDIBLE = AudibleMel(seconds=1.0)
CHORDS = {
    IMITATION: (600.0, 1500.0, 3500.0),
    RECORDING: (440.0, 1760.0, 7040.0),
    CONSTANT_Q: (100.0, 252.0, 599.0),
    AUDIBLE: (600.0, 1500.0, 3500.0),
}


def tones(front_end, hertz, begin=0.0):
    time = torch.arange(front_end.samples, dtype=torch.float64) / front_end.sample_rate
    waveform = sum(torch.sin(2 * torch.pi * each * time) for each in hertz)
    return (waveform * (time >= begin)).float()[None]


def half_width(front_end, hertz):
    """Return half the distance between the neighbours of the nearest bin, Hz."""
    centres = front_end.frequencies()
    nearest = int(np.abs(centres - hertz).argmin())
    return (centres[nearest + 1] - centres[nearest - 1]) / 2


@pytest.mark.parametrize("front_end", CHORDS, ids=["imitation", "recording", "cqt", "audible"])
def test_a_chords_frequencies_come_back_within_a_bin(front_end):
    chord = CHORDS[front_end]
    waveform = front_end.inverted(standardised(front_end(tones(front_end, chord)))[0])
    power = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))) ** 2
    axis = np.fft.rfftfreq(len(waveform), 1 / front_end.sample_rate)
    for hertz in chord:
        near = np.abs(axis - hertz) < 0.3 * hertz
        strongest = axis[near][power[near].argmax()]
        assert abs(strongest - hertz) < half_width(front_end, hertz)
    heard = np.zeros_like(axis, dtype=bool)
    for hertz in chord:
        heard |= np.abs(axis - hertz) < 2 * half_width(front_end, hertz)
    assert power[heard].sum() > 0.8 * power.sum()


@pytest.mark.parametrize(
    "front_end", [IMITATION, RECORDING, CONSTANT_Q], ids=["imitation", "recording", "cqt"]
)
def test_a_sound_begins_when_its_pattern_does(front_end):
    begin = front_end.seconds / 2
    pattern = front_end(tones(front_end, CHORDS[front_end][:1], begin))[0]
    waveform = front_end.inverted(pattern)
    loud = np.flatnonzero(np.abs(waveform) > 0.3 * PEAK)
    assert loud[0] / front_end.sample_rate == pytest.approx(begin, abs=0.05)


def test_the_sound_is_as_long_as_its_frames_and_repeats_with_its_seed():
    pattern = torch.randn(39, 120)
    waveform = IMITATION.inverted(pattern, seed=3)
    assert waveform.dtype == np.float32
    assert len(waveform) == 119 * 133
    assert np.abs(waveform).max() == pytest.approx(PEAK)
    assert np.array_equal(waveform, IMITATION.inverted(pattern, seed=3))
    assert not np.array_equal(waveform, IMITATION.inverted(pattern, seed=4))


def test_silence_stays_silence():
    assert not IMITATION.inverted(torch.zeros(39, 120)).any()


def test_standardised_decibels_count_down_from_the_maximum_to_the_floor():
    pattern = torch.zeros(39, 120)
    pattern[0, 0], pattern[0, 1] = 1.0, -9.0
    found = magnitudes(pattern, 80.0)
    # 0 dB; 200 dB below it, which is beyond the range of 80; 20 dB below it
    assert found[0, :3] == pytest.approx([1.0, 0.0, 0.1])


def test_magnitudes_get_a_mean_back_and_end_at_zero():
    pattern = torch.zeros(72, 41)
    pattern[0, 0], pattern[0, 1] = 1.7, -1.0
    found = magnitudes(pattern, None)
    assert found[0, :3] == pytest.approx([1.0, 0.0, 0.15])


def test_closer_frames_lie_on_lines_between_frames():
    frames = np.array([[0.0, 1.0, 3.0]])
    assert closer_frames(frames, 2, 1).tolist() == [[0.0, 0.5, 1.0, 2.0, 3.0]]


def test_closer_frames_reach_the_last_frame_exactly_or_stop_before_it():
    last = np.linspace(0.0, 128.0, 129)[None]
    closer = closer_frames(last, 420, 32)  # 128 * 420 / 32 is 1680
    assert closer.shape == (1, 1681)
    assert closer[0, -1] == 128.0
    assert closer_frames(last, 133, 33).shape == (1, 1 + 128 * 133 // 33)


@pytest.mark.parametrize("front_end", [IMITATION, CONSTANT_Q], ids=["imitation", "cqt"])
def test_levels_come_back_where_the_deviation_is_known(front_end, monkeypatch):
    loud, _, soft = CHORDS[front_end]
    clip = tones(front_end, [loud]) + 0.1 * tones(front_end, [soft])
    deviation = float(front_end.spectrogram(clip).std())
    monkeypatch.setattr(inversion, "DEVIATION", deviation)
    waveform = front_end.inverted(front_end(clip)[0])
    axis = np.fft.rfftfreq(len(waveform), 1 / front_end.sample_rate)
    power = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))) ** 2
    bands = [np.abs(axis - hertz) < 2 * half_width(front_end, hertz) for hertz in (loud, soft)]
    difference = 10 * np.log10(power[bands[0]].sum() / power[bands[1]].sum())
    assert difference == pytest.approx(20.0, abs=4.0)
