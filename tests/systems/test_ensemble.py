"""Several systems as one: sums by hand, weights that a half makes likely, one file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import siamese

from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError
from vocalsketch.features.audio import clip_of
from vocalsketch.features.mel import LogMel
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.retrieval.scores import CategoryScores
from vocalsketch.systems import System, load_system
from vocalsketch.systems.baselines import Contours, Imisound
from vocalsketch.systems.ensemble import Ensemble
from vocalsketch.systems.siamese import SiameseGeometry

LOW = LogMel(4_000, 0.2, 40, 12, 0.0, 2_000.0, 16)
HIGH = LogMel(8_000, 0.2, 80, 12, 0.0, 4_000.0, 16)


def network() -> System:
    torch.manual_seed(0)
    tower = TowerGeometry([ConvStage(3, (3, 3))])
    return siamese(SiameseGeometry((12, 16), (12, 16), tower, tower, hidden=(5,)), HIGH).eval()


def imisound() -> System:
    torch.manual_seed(1)
    return Imisound(dict.fromkeys(SIDES, LOW), [5, 3], patch_frames=4, patch_hop=2).eval()


def noise(system: System, clips: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(clips, system.front_ends["recording"].samples, generator=generator)


def scores(system: System, clips: torch.Tensor) -> torch.Tensor:
    return system.score(system.hear("imitation", clips), system.hear("recording", clips))


@pytest.mark.parametrize("second", [imisound(), Contours()], ids=type)
@torch.no_grad()
def test_scores_are_the_weighted_sum_of_the_members(second: System) -> None:
    first = network()
    ensemble = Ensemble([first, second]).eval()
    ensemble.weights.copy_(torch.tensor([2.0, 0.5]))
    rate = ensemble.front_ends["recording"].sample_rate
    assert rate == max(each.front_ends["recording"].sample_rate for each in (first, second))
    clips = noise(ensemble, 3)
    total = torch.zeros(3, 3)
    for member, weight in ((first, 2.0), (second, 0.5)):
        own = [clip_of(clip.numpy(), rate, member.front_ends["recording"]) for clip in clips]
        total += weight * scores(member, torch.from_numpy(np.stack(own)))
    torch.testing.assert_close(scores(ensemble, clips), total, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_it_is_an_inner_product_where_every_member_is_one() -> None:
    both = Ensemble([imisound(), Contours()]).eval()
    both.weights.copy_(torch.tensor([3.0, 0.1]))
    assert both.inner_product
    assert not Ensemble([imisound(), network()]).inner_product
    heard = {side: both.hear(side, noise(both, 3)) for side in SIDES}
    found = both.score(heard["imitation"], heard["recording"])
    torch.testing.assert_close(found, heard["imitation"] @ heard["recording"].T)


@torch.no_grad()
@pytest.mark.parametrize("first", [network(), imisound()], ids=type)
def test_aspects_are_the_members_and_add_up(first: System) -> None:
    both = Ensemble([first, Contours(), imisound(), Contours()]).eval()
    both.weights.copy_(torch.tensor([3.0, 0.1, 0.0, 0.2]))
    own = "siamese" if first.kind == "logit" else "imisound"
    assert both.aspects == tuple(dict.fromkeys([own, *Contours().aspects, "imisound"]))
    heard = [both.hear(side, noise(both, 4)) for side in SIDES]
    shares = both.aspect_scores(*heard)
    assert tuple(shares) == both.aspects
    torch.testing.assert_close(sum(shares.values()), both.score(*heard), rtol=1e-3, atol=1e-2)
    clips = noise(both, 4)
    rate, member = both.front_ends["recording"].sample_rate, both.parts()[1]
    own_clips = [clip_of(clip.numpy(), rate, member.front_ends["recording"]) for clip in clips]
    asked, found = (member.hear(side, torch.from_numpy(np.stack(own_clips))) for side in SIDES)
    pitch = member.aspect_scores(asked, found)["pitch"]
    torch.testing.assert_close(shares["pitch"], 0.3 * pitch, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_it_is_saved_and_loaded_as_one(tmp_path: Path) -> None:
    ensemble = Ensemble([network(), imisound(), Contours()]).eval()
    ensemble.weights.copy_(torch.tensor([1.0, 4.0, 0.2]))
    ensemble.save(tmp_path / "all.safetensors", {"corpus": "folder"})
    loaded = load_system(tmp_path / "all.safetensors")
    assert loaded.fingerprint == ensemble.fingerprint
    clips = noise(ensemble, 2)
    assert torch.equal(scores(loaded, clips), scores(ensemble, clips))


def category(matrix: np.ndarray) -> CategoryScores:
    queries, candidates = matrix.shape
    names = tuple(f"q{number}" for number in range(queries))
    sounds = tuple(f"s{number}" for number in range(candidates))
    return CategoryScores("bells", names, sounds, np.arange(queries), matrix)


def test_weights_follow_what_is_likely_and_never_turn_an_order_around() -> None:
    rng = np.random.default_rng(0)
    right = np.eye(20) * 3.0 + rng.standard_normal((20, 20))
    chance, wrong = rng.standard_normal((20, 20)) * 0.01, -right * 100.0
    ensemble = Ensemble([imisound(), imisound(), imisound()])
    ensemble.fit([[category(right)], [category(chance)], [category(wrong)]])
    weights = ensemble.weights.numpy()
    assert weights[0] > 0.5
    assert weights[2] == 0.0
    assert (weights >= 0.0).all()

    def likelihood(weight: float) -> float:
        logits = weight * right
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(np.diag(logs).mean())

    alone = Ensemble([imisound()]).fit([[category(right)]]).weights.numpy()[0]
    best = likelihood(alone)
    assert all(likelihood(alone + step) < best for step in (-0.05, 0.05))


def test_an_ensemble_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one member"):
        Ensemble([])


def test_weights_that_are_given_are_one_for_each_member() -> None:
    given = Ensemble([imisound(), Contours()], weights=[2, 0.5])
    assert given.get_buffer("weights").tolist() == [2.0, 0.5]
    with pytest.raises(ConfigError, match="weights are 1, but members 2: give one for each"):
        Ensemble([imisound(), Contours()], weights=[2])
