"""Measures of a ranking, held to torchmetrics and to plain Python."""

from itertools import permutations
from math import log2

import numpy as np
import pytest
import torch
from torchmetrics.functional import retrieval

from vocalsketch.retrieval.scores import MEASURES, CategoryScores, chances, graded, measured

QUERIES, CANDIDATES = 40, 23


def made_up() -> CategoryScores:
    """Random scores without ties, above 0 as torchmetrics wants them."""
    random = np.random.default_rng(0)
    scores = random.permuted(np.tile(np.arange(1.0, CANDIDATES + 1), (QUERIES, 1)), axis=1)
    classes = tuple((f"kind{number % 6}",) for number in range(CANDIDATES))
    names = tuple(map(str, range(QUERIES)))
    targets = random.integers(0, CANDIDATES, QUERIES)
    return CategoryScores("all", names, names[:CANDIDATES], targets, scores, classes)


def test_every_measure_is_torchmetrics_where_no_scores_tie() -> None:
    category = made_up()
    exact = np.eye(CANDIDATES, dtype=bool)[category.targets]
    expected = {
        "mrr": (exact, retrieval.retrieval_reciprocal_rank, {}),
        "recall@1": (exact, retrieval.retrieval_recall, {"top_k": 1}),
        "recall@5": (exact, retrieval.retrieval_recall, {"top_k": 5}),
        "recall@10": (exact, retrieval.retrieval_recall, {"top_k": 10}),
        "ndcg": (category.relevant, retrieval.retrieval_normalized_dcg, {}),
        "map": (category.relevant, retrieval.retrieval_average_precision, {}),
    }
    found = dict(zip(MEASURES, measured(category).T, strict=True))
    for name, (wanted, function, options) in expected.items():
        theirs = [
            float(function(torch.tensor(row), torch.tensor(mine), **options))
            for row, mine in zip(category.scores, wanted, strict=True)
        ]
        np.testing.assert_allclose(found[name], theirs, rtol=1e-6, err_msg=name)
    own = category.scores[np.arange(QUERIES), category.targets]
    np.testing.assert_array_equal(found["mean_rank"], CANDIDATES + 1 - own)


def test_ties_count_as_the_mean_over_all_of_their_orders() -> None:
    scores = np.array([0.7, 0.2, 0.7, 0.2, 0.2, 0.9])
    relevant = np.array([True, True, False, False, True, False])
    orders = [
        order for order in permutations(range(6)) if list(-scores[list(order)]) == sorted(-scores)
    ]
    ideal = sum(1 / log2(rank + 1) for rank in (1, 2, 3))
    gains, precisions = [], []
    for order in orders:
        ranks = [rank for rank, one in enumerate(order, 1) if relevant[one]]
        gains.append(sum(1 / log2(rank + 1) for rank in ranks) / ideal)
        precisions.append(sum(number / rank for number, rank in enumerate(ranks, 1)) / 3)
    ndcg, precision = graded(scores[None], relevant[None])
    assert (len(orders), ndcg[0]) == (12, pytest.approx(np.mean(gains)))
    assert precision[0] == pytest.approx(np.mean(precisions))


def test_equal_scores_reach_chance_and_the_exact_target_alone_makes_map_the_mrr() -> None:
    category = made_up()
    flat = CategoryScores(
        *("all", category.queries, category.candidates, category.targets),
        *(np.zeros_like(category.scores), category.classes),
    )
    ndcg = MEASURES.index("ndcg")
    assert chances(flat)[1] == pytest.approx(measured(flat)[:, ndcg].mean())
    alone = CategoryScores(
        "all", category.queries, category.candidates, category.targets, category.scores
    )
    np.testing.assert_array_equal(alone.relevant.sum(axis=1), 1)
    values = dict(zip(MEASURES, measured(alone).T, strict=True))
    np.testing.assert_allclose(values["map"], values["mrr"])


def test_a_sound_of_several_classes_answers_for_each() -> None:
    names = ("dog", "wolf", "bell")
    kinds = (("pet",), ("pet", "wild"), ("metal",))
    category = CategoryScores("x", names, names, np.array([0, 1, 2]), np.zeros((3, 3)), kinds)
    assert category.relevant.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
