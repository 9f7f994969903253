"""The baseline that learns nothing: by hand, and on synthesised imitations of sounds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vocalsketch.datasets.synthetic import sounds
from vocalsketch.domain import SIDES
from vocalsketch.features.audio import clip_of
from vocalsketch.features.contours import FAMILIES
from vocalsketch.systems import System, load_system
from vocalsketch.systems.baselines import Contours
from vocalsketch.voice.listening import heard
from vocalsketch.voice.people import imitation, person

LENGTH = sum(FAMILIES.values())


def scores(system: System, queries: torch.Tensor, candidates: torch.Tensor) -> np.ndarray:
    return system.score(
        system.embed("imitation", queries), system.embed("recording", candidates)
    ).numpy()


def test_scores_by_hand() -> None:
    queries, candidates = torch.zeros(2, LENGTH, 1), torch.zeros(2, LENGTH, 1)
    queries[:, 0, 0] = torch.tensor([5.0, 9.0])  # loudness: -1 and 1 on each side
    candidates[:, 0, 0] = torch.tensor([100.0, 300.0])
    queries[:, -1, 0] = torch.tensor([0.0, 2.0])  # duration: opposite orders
    candidates[:, -1, 0] = torch.tensor([1.0, 0.0])
    system = Contours().fit({"imitation": queries, "recording": candidates})

    # same loudness, other duration: 2 ** 2; the reverse: 2 ** 2 / 20 points of a contour
    expected = np.array([[-4.0, -0.2], [-0.2, -4.0]])
    np.testing.assert_allclose(scores(system, queries, candidates), expected, rtol=1e-5)


def test_each_family_of_features_is_an_aspect() -> None:
    clips = torch.randn(2, LENGTH, 1, generator=torch.Generator().manual_seed(0))
    system = Contours()
    embedded = [system.embed(side, clips) for side in SIDES]
    shares = system.aspect_scores(*embedded)
    assert tuple(shares) == system.aspects
    torch.testing.assert_close(sum(shares.values()), system.score(*embedded))
    changed = clips.clone()
    changed[:, 20:40] += 1.0  # the pitch contour, by its deviation everywhere
    moved = system.aspect_scores(embedded[0], system.embed("recording", changed))
    assert float(moved["pitch"][0, 0]) == pytest.approx(-1.0, rel=1e-5)
    torch.testing.assert_close(moved["loudness"], shares["loudness"])


def test_a_clip_scores_the_same_whatever_is_ranked_beside_it() -> None:
    torch.manual_seed(0)
    system, clips = Contours(), torch.randn(7, LENGTH, 1)
    alone = scores(system, clips[:1], clips[5:6])
    np.testing.assert_allclose(scores(system, clips, clips)[:1, 5:6], alone, rtol=1e-5)


def test_a_feature_without_spread_says_nothing() -> None:
    alike = {"imitation": torch.ones(3, LENGTH, 1), "recording": torch.full((4, LENGTH, 1), 7.0)}
    found = scores(Contours().fit(alike), torch.randn(3, LENGTH, 1), torch.randn(4, LENGTH, 1))
    np.testing.assert_array_equal(found, np.zeros((3, 4)))


def test_what_it_was_fitted_to_is_saved_with_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    clips = torch.randn(5, LENGTH, 1)
    system = Contours().fit(dict.fromkeys(SIDES, clips * 3 + 1))
    system.save(tmp_path / "contours.safetensors")
    again = load_system(tmp_path / "contours.safetensors")
    assert again.fingerprint == system.fingerprint != load_system("contours").fingerprint
    np.testing.assert_array_equal(scores(again, clips, clips), scores(system, clips, clips))


def test_synthesised_imitations_are_neither_trivial_nor_hopeless() -> None:
    system, category = load_system("contours"), "everyday"
    names = sorted(sounds.CATALOGUE[category])[12:]
    candidates, queries = [], []
    for target, name in enumerate(names):
        recording = np.asarray(sounds.recording(category, name), dtype=np.float32)
        candidates.append(clip_of(recording, 44_100, system.front_ends["recording"]))
        someone = person(target, sounds.generator("person", str(target)))
        at_16_khz = clip_of(recording, 44_100, system.front_ends["imitation"])
        sung = imitation(
            someone, heard(at_16_khz), sounds.generator("imitation", name, str(target))
        )
        queries.append(clip_of(sung.astype(np.float32), 16_000, system.front_ends["imitation"]))

    asked, found = (torch.from_numpy(np.stack(clips)) for clips in (queries, candidates))
    ranked = system.score(system.hear("imitation", asked), system.hear("recording", found)).numpy()
    reciprocal_ranks = 1.0 / (1 + (ranked > np.diag(ranked)[:, None]).sum(axis=1))

    chance = np.mean(1.0 / np.arange(1, 13))
    assert 1.5 < reciprocal_ranks.mean() / chance < 3.8
