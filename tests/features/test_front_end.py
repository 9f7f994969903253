"""What all front ends have in common."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.errors import ConfigError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd, decibels, standardised
from vocalsketch.features.mel import ImitationLogMel, LogMel, RecordingLogMel
from vocalsketch.systems import front_end_from

ALL = [
    CQT(),
    CQT(scaling="magnitude"),
    ImitationLogMel(),
    RecordingLogMel(),
    LogMel(8_000, 1.0, 256, 20, 0.0, 4_000.0, 30),
]
ids = [f"{type(front_end).__name__}{number}" for number, front_end in enumerate(ALL)]
every_front_end = pytest.mark.parametrize("front_end", ALL, ids=ids)


def noise(front_end: FrontEnd, clips: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(clips, front_end.samples, generator=generator)


@every_front_end
def test_shape_and_standardisation(front_end: FrontEnd) -> None:
    features = front_end(noise(front_end, 2))
    assert features.shape == (2, *front_end.shape)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.mean((1, 2)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(features.var((1, 2), correction=0), torch.ones(2))


@every_front_end
def test_a_silent_clip_becomes_zeros(front_end: FrontEnd) -> None:
    assert not front_end(torch.zeros(1, front_end.samples)).any()


@every_front_end
@pytest.mark.parametrize("level", [1e-30, 1e-6, 1.0, 1e4, 1e10])
@pytest.mark.parametrize("shape", ["constant", "click", "square", "noise"])
def test_nothing_makes_nan(front_end: FrontEnd, level: float, shape: str) -> None:
    waveform = torch.zeros(1, front_end.samples)
    if shape == "constant":
        waveform += 1
    elif shape == "click":
        waveform[0, front_end.samples // 3] = 1
    elif shape == "square":
        waveform[0] = torch.sign(torch.sin(torch.arange(front_end.samples) * 0.1))
    else:
        waveform = noise(front_end)
    features = front_end(waveform * level)
    assert torch.isfinite(features).all()


@every_front_end
def test_a_clip_does_not_depend_on_its_neighbours(front_end: FrontEnd) -> None:
    waveforms = noise(front_end, 3)
    together = front_end(waveforms)
    for row in range(3):
        alone = front_end(waveforms[row : row + 1])[0]
        # a batched FFT may round otherwise than a single one, by a few units in the last place
        torch.testing.assert_close(together[row], alone, atol=1e-4, rtol=0)


@every_front_end
def test_loudness_does_not_matter(front_end: FrontEnd) -> None:
    waveforms = noise(front_end)
    torch.testing.assert_close(
        front_end(waveforms), front_end(waveforms * 0.25), atol=1e-3, rtol=1e-3
    )


@every_front_end
def test_rebuilt_from_its_description(front_end: FrontEnd) -> None:
    rebuilt = front_end_from(front_end.describe())
    assert rebuilt.describe() == front_end.describe()
    assert rebuilt.fingerprint == front_end.fingerprint


def test_fingerprints_differ_by_class_and_by_parameter() -> None:
    same_numbers = LogMel(16_000, 4.0, 133, 39, 0.0, 5_000.0, 482)
    prints = {e.fingerprint for e in (*ALL, same_numbers, CQT(bins=60), CQT(top_db=60.0))}
    assert len(prints) == len(ALL) + 3


log_mels = st.builds(
    LogMel,
    sample_rate=st.sampled_from([8_000, 16_000]),
    seconds=st.sampled_from([1.0, 1.5]),
    window=st.sampled_from([80, 133]),
    bands=st.sampled_from([5, 20]),
    minimum_frequency=st.sampled_from([0.0, 50.0]),
    maximum_frequency=st.sampled_from([3_000.0, 4_000.0]),
    frames=st.sampled_from([10, 30]),
    top_db=st.sampled_from([60.0, 80.0]),
)


@given(log_mels, log_mels)
def test_fingerprints_are_equal_where_front_ends_are_and_nowhere_else(
    one: LogMel, other: LogMel
) -> None:
    assert (one.fingerprint == other.fingerprint) == (one.describe() == other.describe())
    again = front_end_from(dict(reversed(list(one.describe().items()))))
    assert again.fingerprint == one.fingerprint


def test_a_fingerprint_depends_on_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = CQT().fingerprint
    monkeypatch.setattr(CQT, "VERSION", CQT.VERSION + 1)
    assert CQT().fingerprint != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "Spectrum"}, "Unknown front end 'Spectrum'"),
        ({"class": ["CQT"]}, "Unknown front end"),
        ({"version": 99}, "is of version 99"),
        ({"version": None}, "is of version None"),
        ({"colour": 3}, "no parameter 'colour'"),
        ({"bins": "72"}, "bins is '72': Input should be a valid integer"),
        ({"bins": True}, "bins is True"),
        ({"bins": 72.5}, "bins is 72.5"),
        ({"scaling": 1}, "scaling is 1"),
        ({"scaling": "loud"}, "Input should be 'db' or 'magnitude'"),
        ({"bins": 0}, "bins is 0"),
        ({"minimum_frequency": -1.0}, "minimum_frequency is -1.0"),
        ({"seconds": 0.0}, "seconds is 0.0"),
        ({"seconds": float("nan")}, "seconds"),
        ({"seconds": float("inf")}, "seconds"),
        ({"bins": 120}, "beyond half of the sample rate 16000 Hz"),
    ],
)
def test_descriptions_that_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        front_end_from({**CQT().describe(), **change})
    assert message in str(caught.value)


def test_decibels_by_hand() -> None:
    power = torch.tensor([[[1.0, 0.1, 1e-5, 0.0]]]) * 50
    expected = torch.tensor([[[0.0, -10.0, -50.0, -80.0]]])
    torch.testing.assert_close(decibels(power, 80.0), expected)


def test_decibels_are_relative_to_each_clip() -> None:
    power = torch.tensor([[[1.0, 0.01]], [[0.001, 0.0001]]])
    torch.testing.assert_close(
        decibels(power, 80.0), torch.tensor([[[0.0, -20.0]], [[0.0, -10.0]]])
    )


def test_standardised_by_hand() -> None:
    values = torch.tensor([[[1.0, 3.0]], [[7.0, 7.0]]])
    torch.testing.assert_close(standardised(values), torch.tensor([[[-1.0, 1.0]], [[0.0, 0.0]]]))


@given(st.floats(1e-6, 1e6), st.floats(-100, 100))
def test_standardising_removes_scale_and_offset(scale: float, offset: float) -> None:
    values = torch.tensor([[[0.0, 1.0, 2.0, 5.0]]])
    torch.testing.assert_close(
        standardised(values * scale + offset * scale), standardised(values), atol=1e-3, rtol=1e-3
    )
