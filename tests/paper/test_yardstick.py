"""The yardstick without learning, on a small corpus."""

from dataclasses import replace

import numpy as np
import pytest

from vocalsketch.datasets.open import open_corpus
from vocalsketch.paper.yardstick import yardstick_scores
from vocalsketch.retrieval.fusion import refuse_different_queries
from vocalsketch.retrieval.scores import CategoryScores, Scores


@pytest.fixture
def reference(folder_corpus):
    corpus = open_corpus(folder_corpus)
    categories = []
    for name in corpus.categories:
        sounds = [each for each in corpus.sounds if each.category == name]
        ids = [sound.id for sound in sounds]
        queries = [each for each in corpus.imitations if each.sound_id in ids]
        targets = np.array([ids.index(each.sound_id) for each in queries])
        zeros = np.zeros((len(queries), len(ids)))
        names = tuple(each.id for each in queries)
        categories.append(CategoryScores(name, names, tuple(ids), targets, zeros))
    return Scores("logit", "folder", "abc", "paper", "test", "network", tuple(categories))


def test_it_ranks_the_same_queries_among_the_same_candidates(folder_corpus, reference):
    scores = yardstick_scores(open_corpus(folder_corpus), reference, progress=False)
    refuse_different_queries(reference, scores)
    assert scores.kind == "distance"


def test_categories_may_come_in_any_order(folder_corpus, reference):
    corpus = open_corpus(folder_corpus)
    turned = replace(reference, categories=reference.categories[::-1])
    one = yardstick_scores(corpus, reference, progress=False).categories[0]
    other = yardstick_scores(corpus, turned, progress=False).categories[1]
    np.testing.assert_allclose(one.scores, other.scores)
