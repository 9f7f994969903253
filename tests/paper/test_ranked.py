"""Systems that need no training, and ensembles, ranked like any run."""

import json

import numpy as np
import pytest
import torch

from vocalsketch.datasets.open import open_corpus
from vocalsketch.experiment.run import rank
from vocalsketch.features.audio import load_clip
from vocalsketch.paper import plan
from vocalsketch.retrieval.scores import Scores
from vocalsketch.systems import load_system


@pytest.mark.parametrize("name", ["contours", "default"])
def test_the_scores_are_the_systems_own_of_the_test_half(name, folder_corpus, tmp_path):
    rank(tmp_path, name, load_system(name), {"root": str(folder_corpus), "split": "paper"})
    scores = Scores.load(tmp_path / "scores_test.npz")
    system, corpus = load_system(name), open_corpus(folder_corpus)
    assert (scores.system, scores.kind, scores.half) == (name, system.kind, "test")
    paths = {each.id: each.path for each in (*corpus.imitations, *corpus.sounds)}

    def heard(side, identity):
        clip = load_clip(paths[identity], system.front_ends[side])
        return system.hear(side, torch.from_numpy(clip)[None]).detach()

    for category in scores.categories:
        asked = torch.cat([heard("imitation", each) for each in category.queries[:2]])
        found = torch.cat([heard("recording", each) for each in category.candidates])
        expected = system.score(asked, found).detach().numpy()
        # where waveforms are cached they have 16 bits
        np.testing.assert_allclose(category.scores[:2], expected, rtol=0.02, atol=0.02)


def test_an_ensemble_is_weighed_by_the_validation_half_and_ranks_the_test_half(
    folder_corpus, tmp_path
):
    """What is twice the same member is weighed as one, and the order is that member's own."""
    data = {"root": str(folder_corpus), "split": "paper", "on_bad_audio": "error"}
    told = (str(tmp_path / "two"), "ensemble", json.dumps(data))
    plan.main(*told, "[]", "contours", "contours")
    found = Scores.load(tmp_path / "two" / "scores_test.npz")
    assert (found.system, found.half) == ("ensemble", "test")
    assert Scores.load(tmp_path / "two" / "member1" / "scores_validation.npz").half == "validation"
    rank(tmp_path / "one", "contours", load_system("contours"), data)
    alone = Scores.load(tmp_path / "one" / "scores_test.npz")
    ensemble = load_system(tmp_path / "two" / "system.safetensors")
    assert ensemble.corpus == found.corpus
    weights = ensemble.get_buffer("weights")
    assert float(weights[0]) == pytest.approx(float(weights[1]), rel=1e-3)
    given = (str(tmp_path / "given"), "ensemble", json.dumps(data), "[2, 0.5]")
    plan.main(*given, "contours", "contours")
    assert not (tmp_path / "given" / "member1").exists()
    told_weights = Scores.load(tmp_path / "given" / "scores_test.npz")
    for scores, weight in ((found, float(weights.sum())), (told_weights, 2.5)):
        for both, single in zip(scores.categories, alone.categories, strict=True):
            np.testing.assert_allclose(both.scores, single.scores * weight, rtol=0.02, atol=0.02)
