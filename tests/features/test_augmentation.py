"""Augmentation: what each change does, and that none leaves the range."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.features.augmentation import MASKED, Augmentation, SpecAugment

NOTHING = Augmentation(**{field.name: 0 for field in fields(Augmentation)})


def ridge(band: int = 8, begin: int = 20, end: int = 60) -> torch.Tensor:
    spectrogram = torch.zeros(1, 16, 100)
    spectrogram[0, band, begin:end] = 80.0
    return spectrogram


def test_without_a_change_it_is_the_same() -> None:
    torch.testing.assert_close(NOTHING(ridge()), ridge(), atol=1e-3, rtol=0)


def test_the_same_seed_gives_the_same_and_the_range_is_kept() -> None:
    clips = torch.rand(4, 16, 100) * 80
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(Augmentation()(clips))
    torch.testing.assert_close(results[0], results[1])
    assert results[0].min() >= 0
    assert results[0].max() <= 80
    assert not torch.allclose(results[0], clips)


def test_tempo_changes_how_long_it_is_and_pitch_where() -> None:
    torch.manual_seed(0)
    clips = ridge().expand(64, -1, -1)
    stretched = (Augmentation(**{**vars(NOTHING), "tempo": 0.2})(clips) > 40).sum((1, 2)).float()
    assert 15 < float(stretched.min()) < 35 < 45 < float(stretched.max()) < 80
    moved = Augmentation(**{**vars(NOTHING), "pitch": 2.0})(clips)[:, :, 40].argmax(1)
    assert len(moved.unique()) > 4
    assert abs(float(moved.float().mean()) - 8) < 1


def test_a_shift_only_comes_later() -> None:
    torch.manual_seed(0)
    shifted = Augmentation(**{**vars(NOTHING), "shift": 5})(ridge().expand(32, -1, -1))
    begins = (shifted[:, 8] > 40).float().argmax(1)
    assert set(begins.tolist()) == {20, 21, 22, 23, 24, 25}


def test_noise_fills_silence_and_masks_cut() -> None:
    torch.manual_seed(0)
    noisy = Augmentation(**{**vars(NOTHING), "noise": 40.0})(ridge().expand(16, -1, -1))
    assert float(noisy[:, 0].mean()) > 5
    masked = Augmentation(**{**vars(NOTHING), "masks": 1.0})(torch.full((8, 16, 100), 60.0))
    assert ((masked == 0).sum((1, 2)) > 0).all()


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="tempo is -0.1"):
        Augmentation(tempo=-0.1)


STILL = SpecAugment(frequency_mask=0, time_mask=0, roll=0, mix_style=0.0)


def test_masks_and_turns_are_within_their_bounds_and_differ_from_clip_to_clip() -> None:
    clips = torch.rand(64, 16, 100)
    torch.testing.assert_close(STILL(clips), clips)
    torch.manual_seed(0)
    masked = (replace(STILL, frequency_mask=3, time_mask=20)(clips) == MASKED).float()
    bands, frames = masked.amin(2).sum(1), masked.amin(1).sum(1)
    assert bands.max() == 3
    assert bands.unique().numel() == 4
    assert 15 <= frames.max() <= 20
    turned = replace(STILL, roll=2)(clips)
    turns = [
        next(turn for turn in range(-2, 3) if torch.equal(clip.roll(turn, 1), changed))
        for clip, changed in zip(clips, turned, strict=True)
    ]
    assert set(turns) == {-2, -1, 0, 1, 2}


def test_bands_take_on_means_and_deviations_between_those_of_two_clips() -> None:
    torch.manual_seed(1)
    clips = torch.randn(2, 4, 500) * torch.tensor([1.0, 3.0])[:, None, None]
    clips += torch.tensor([0.0, 10.0])[:, None, None]
    mixed = replace(STILL, mix_style=1.0)(clips)
    means, deviations = mixed.mean(2), mixed.std(2)
    assert -0.2 < means.min() < means.max() < 10.5
    assert 0.9 < deviations.min() < deviations.max() < 3.2
    assert not torch.allclose(mixed, clips)
    # what a clip does is still its own
    for clip, changed in zip(clips, mixed, strict=True):
        assert np.corrcoef(clip[0], changed[0])[0, 1] > 0.999


def test_a_negative_mask_is_refused() -> None:
    with pytest.raises(ConfigError, match="time_mask is -1: give 0 or more"):
        SpecAugment(time_mask=-1)
