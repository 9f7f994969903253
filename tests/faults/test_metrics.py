"""Every figure of a result, on 1,000 random cases each, against another way to come by it."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
import torch
from torchmetrics.retrieval import RetrievalMRR

from vocalsketch.retrieval.results import Sample, holm, paired_bootstrap, welch
from vocalsketch.retrieval.scores import (
    CategoryScores,
    Scores,
    chance_mrr,
    fuse,
    log_likelihoods,
    mean_reciprocal_rank,
    mid_ranks,
)
from vocalsketch.tasks.classification import Confusion

CASES = 1_000


def rng_of(case: int) -> np.random.Generator:
    return np.random.default_rng([2018, case])


def test_mid_ranks_are_scipys_and_those_of_counting() -> None:
    for case in range(CASES):
        rng = rng_of(case)
        queries, candidates = rng.integers(1, 6), rng.integers(1, 30)
        # few levels, so that ties are common
        scores = rng.integers(-3, rng.integers(-2, 40), (queries, candidates)).astype(np.float64)
        scores *= rng.choice([1.0, 1e-12, 1e12])
        targets = rng.integers(0, candidates, queries)
        ranks = mid_ranks(scores, targets)
        for row, target, rank in zip(scores, targets, ranks, strict=True):
            assert rank == scipy.stats.rankdata(-row)[target]
            values = row.tolist()
            above = sum(value > values[target] for value in values)
            equal = sum(value == values[target] for value in values)
            assert rank == above + (equal + 1) / 2


def test_mrr_is_torchmetrics_where_that_is_defined_and_a_sum_of_fractions_everywhere() -> None:
    for case in range(CASES):
        rng = rng_of(case)
        queries, candidates = int(rng.integers(1, 6)), int(rng.integers(2, 30))
        order = rng.permuted(np.tile(np.arange(1, candidates + 1), (queries, 1)), axis=1)
        targets = rng.integers(0, candidates, queries)
        found = mean_reciprocal_rank(order / candidates, targets)
        metric = RetrievalMRR()
        hits = torch.nn.functional.one_hot(torch.from_numpy(targets), candidates)
        indexes = torch.arange(queries).repeat_interleave(candidates)
        metric.update(torch.from_numpy(order.ravel() / candidates), hits.ravel(), indexes=indexes)
        assert found == pytest.approx(float(metric.compute()), rel=1e-6)
        reciprocals = [
            Fraction(1, candidates + 1 - int(row[target]))
            for row, target in zip(order, targets, strict=True)
        ]
        assert found == pytest.approx(float(sum(reciprocals) / queries), rel=1e-14)
        harmonic = sum(Fraction(1, rank) for rank in range(1, candidates + 1)) / candidates
        assert chance_mrr(candidates) == pytest.approx(float(harmonic), rel=1e-14)


def scores_of(kind: str, matrix: np.ndarray) -> Scores:
    queries, candidates = matrix.shape
    names = tuple(map(str, range(candidates)))
    category = CategoryScores(
        "c", tuple(map(str, range(queries))), names, np.zeros(queries, dtype=np.int64), matrix
    )
    return Scores(kind, "demo", "s", "paper", "test", kind, (category,))  # type: ignore[arg-type]


def test_a_fusion_is_the_product_of_likelihoods_computed_one_by_one() -> None:
    for case in range(CASES):
        rng = rng_of(case)
        shape = int(rng.integers(1, 4)), int(rng.integers(1, 8))
        logits = [rng.normal(0, 4, shape).astype(np.float32) for _ in range(rng.integers(1, 4))]
        cosine = rng.uniform(-1, 1, shape).astype(np.float32)
        systems = [*(scores_of("logit", each) for each in logits), scores_of("cosine", cosine)]
        fused = np.exp(fuse(systems).categories[0].scores)
        for query in range(shape[0]):
            weights = [math.exp(-(1 - float(value))) for value in cosine[query]]
            for candidate in range(shape[1]):
                expected = weights[candidate] / sum(weights)
                for each in logits:
                    expected *= 1 / (1 + math.exp(-float(each[query, candidate])))
                assert fused[query, candidate] == pytest.approx(expected, rel=1e-9)
        likelihoods = np.exp(log_likelihoods(cosine, "cosine"))
        np.testing.assert_allclose(
            likelihoods, scipy.special.softmax(cosine.astype(np.float64), axis=1), rtol=1e-12
        )


def test_t_tests_are_scipys_on_the_values_themselves() -> None:
    for case in range(CASES):
        rng = rng_of(case)
        first = rng.normal(0.4, rng.uniform(0.001, 0.1), rng.integers(2, 12))
        second = rng.normal(0.4, rng.uniform(0.001, 0.1), rng.integers(2, 12))
        found = welch(Sample.of(first.tolist()), Sample.of(second.tolist()))
        expected = scipy.stats.ttest_ind(first, second, equal_var=False)
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-8)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-7)


def test_holms_correction_is_its_definition() -> None:
    for case in range(CASES):
        rng = rng_of(case)
        p_values = rng.choice([0.001, 0.01, 0.02, 0.2, 0.9], rng.integers(1, 9)).tolist()
        count = len(p_values)
        ordered = sorted(p_values)
        for value, corrected in zip(p_values, holm(p_values), strict=True):
            # the largest of what it and each smaller one is multiplied to, none above 1
            products = [(count - place) * p for place, p in enumerate(ordered) if p <= value]
            assert corrected == pytest.approx(min(1.0, max(products)), rel=1e-12)


def test_bootstrap_intervals_are_those_of_resampling_in_a_loop() -> None:
    for case in range(CASES):
        rng = rng_of(case)
        first, second = rng.random(9), rng.random(9)
        found = paired_bootstrap(first, second, np.random.default_rng(case), resamples=40)
        draws = np.random.default_rng(case).integers(0, 9, (40, 9))
        means = sorted(sum(first[i] - second[i] for i in draw) / 9 for draw in draws.tolist())
        assert found.difference == pytest.approx(sum(first - second) / 9)
        for end, share in ((found.low, 0.025), (found.high, 0.975)):
            place = share * 39  # linear between the two neighbours
            below = int(place)
            expected = means[below] + (place - below) * (means[below + 1] - means[below])
            assert end == pytest.approx(expected, abs=1e-12)


def test_accuracies_are_sklearns() -> None:
    for case in range(CASES):
        rng = rng_of(case)
        classes = int(rng.integers(2, 11))
        true, predicted = rng.integers(0, classes, (2, int(rng.integers(1, 80))))
        names = tuple(map(str, range(classes)))
        counts = sklearn.metrics.confusion_matrix(true, predicted, labels=range(classes))
        found = Confusion(names, counts)
        assert found.accuracy == pytest.approx(sklearn.metrics.accuracy_score(true, predicted))
        present = np.unique(true)
        recalls = sklearn.metrics.recall_score(true, predicted, labels=present, average=None)
        assert found.per_class == pytest.approx(
            {str(name): recall for name, recall in zip(present, recalls, strict=True)}
        )
