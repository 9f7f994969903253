"""Systems that need no training, ranked like any run."""

import numpy as np
import pytest
import torch

from vocalsketch.datasets.open import open_corpus
from vocalsketch.experiment.ranking import rank
from vocalsketch.features.audio import load_clip
from vocalsketch.retrieval.scores import Scores
from vocalsketch.systems import load_system


@pytest.mark.parametrize("name", ["contours", "default"])
def test_the_scores_are_the_systems_own_of_the_test_half(name, folder_corpus, tmp_path):
    rank(tmp_path, name, load_system(name), str(folder_corpus), "paper", "error")
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
