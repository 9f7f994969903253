"""The dual encoder: shapes, what keeps time, what it is saved as."""

import math
from pathlib import Path

import pytest
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.contours import ContourFeatures
from vocalsketch.models.encoder import EncoderGeometry
from vocalsketch.systems.checkpoints import load_system
from vocalsketch.systems.dual_encoder import DualEncoder

FRONT_END = AudibleMel(seconds=1.0, bands=16)
ENDS = {"imitation": FRONT_END, "recording": FRONT_END}
SMALL = EncoderGeometry(filters=(4, 6), places=4, width=8)


def encoder(geometry: EncoderGeometry = SMALL, **options: object) -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(ENDS, geometry, frames=40, **options).eval()


@pytest.mark.parametrize("recurrent", [None, "gru", "lstm"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("view", ["absolute", "own"])
def test_it_is_saved_and_loaded_as_it_was(
    tmp_path: Path, recurrent: str | None, shared: bool, view: str
) -> None:
    geometry = EncoderGeometry(filters=(4, 6), places=4, width=8, recurrent=recurrent, units=5)
    system = encoder(geometry, shared=shared, view=view)
    clips = torch.randn(3, FRONT_END.samples)
    system.save(tmp_path / "system.safetensors")
    loaded = load_system(tmp_path / "system.safetensors").eval()
    assert loaded.description() == system.description()
    assert loaded.fingerprint == system.fingerprint
    for side in ENDS:
        torch.testing.assert_close(loaded.hear(side, clips), system.hear(side, clips))


def test_scores_are_the_cosines_of_embeddings() -> None:
    system = encoder()
    imitations = system.embed("imitation", torch.rand(3, 16, 100) * 80)
    recordings = system.embed("recording", torch.rand(5, 16, 100) * 80)
    expected = torch.cosine_similarity(imitations[:, None], recordings[None], dim=2)
    torch.testing.assert_close(system.score(imitations, recordings), expected)


def test_shared_encoders_hear_both_sides_alike() -> None:
    features = torch.rand(2, 16, 100) * 80
    for shared in (True, False):
        system = encoder(shared=shared)
        alike = torch.allclose(
            system.embed("imitation", features), system.embed("recording", features)
        )
        assert alike == shared


@torch.no_grad()
def test_of_features_without_time_the_encoders_are_perceptrons(tmp_path: Path) -> None:
    geometry = EncoderGeometry(filters=(6, 5), places=1, width=8, dropout=0.5)
    ends = {"imitation": ContourFeatures(), "recording": ContourFeatures()}
    system = DualEncoder(ends, geometry)
    contours = 30 + 50 * torch.rand(64, *ends["imitation"].shape)
    for _ in range(200):  # what training meets is what numbers are standardised by
        system.embed("imitation", contours)
    seen = system.eval().encoders["imitation"].convolutions[:2](contours)
    assert float(seen.mean()) == pytest.approx(0, abs=0.01)
    assert float(seen.var()) == pytest.approx(1, abs=0.05)
    assert system.embed("imitation", contours).shape == (64, 8)
    assert system.aspects == ("likeness of contours",)
    system.save(str(tmp_path / "system.safetensors"))
    loaded = load_system(tmp_path / "system.safetensors").eval()
    torch.testing.assert_close(
        loaded.embed("imitation", contours), system.embed("imitation", contours)
    )
    with pytest.raises(ConfigError, match="places is 4 and backbone None"):
        DualEncoder(ends, SMALL)


def test_the_order_of_time_matters() -> None:
    rising = torch.zeros(1, 16, 80)
    for band in range(16):
        rising[0, band, 5 * band : 5 * band + 5] = 60.0
    system = encoder()
    with torch.no_grad():
        clips = torch.cat([rising, rising.flip(2)])
        forwards, backwards = system.embed("imitation", clips)
    assert float(forwards @ backwards) < 0.99


def test_own_time_hears_a_sound_at_another_speed_alike_but_for_its_duration() -> None:
    slow = torch.zeros(1, 16, 400)
    for band in range(10):
        slow[0, band, 32 * band : 32 * band + 32] = 60.0
    quick = torch.nn.functional.pad(slow[..., ::4], (0, 300))
    clips = [slow, quick]
    seen = [encoder(view="own")._own("imitation", clip) for clip in clips]
    torch.testing.assert_close(seen[0][:, 0], seen[1][:, 0])
    assert seen[0][0, 1].unique().item() == pytest.approx(math.log(3.2))
    assert seen[1][0, 1].unique().item() == pytest.approx(math.log(0.8))


def test_own_time_needs_to_know_where_a_sound_is_audible() -> None:
    with pytest.raises(ConfigError, match="view: own needs AudibleMel"):
        DualEncoder(dict.fromkeys(ENDS, ContourFeatures()), SMALL, view="own")
    with pytest.raises(ConfigError, match="view is 'mine'"):
        encoder(view="mine")


@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_fast_one_is_the_same_function(batch_norm: bool) -> None:
    geometry = EncoderGeometry(filters=(4, 6), places=4, width=8, batch_norm=batch_norm)
    system = encoder(geometry)
    for module in system.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    features = torch.rand(2, 16, 100) * 80
    expected = system.embed("recording", features)
    torch.testing.assert_close(system.fast().embed("recording", features), expected)


def test_a_clip_shorter_than_the_frames_is_padded() -> None:
    system = encoder()
    short = torch.rand(1, 16, 20) * 80
    padded = torch.nn.functional.pad(short, (0, 60))
    torch.testing.assert_close(system.embed("imitation", short), system.embed("imitation", padded))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filters": ()}, "filters is"),
        ({"filters": (4, 4, 4, 4, 4, 4)}, "halve 16 bins away"),
        ({"places": 0}, "places is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_a_geometry_that_does_not_fit_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder(EncoderGeometry(**{"filters": (4, 6), **change}))


def test_shared_encoders_need_the_same_bins() -> None:
    ends = {"imitation": FRONT_END, "recording": AudibleMel(bands=32)}
    with pytest.raises(ConfigError, match="16 bins and recordings 32"):
        DualEncoder(ends, SMALL, shared=True)
