"""Products of likelihoods."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vocalsketch.errors import ConfigError
from vocalsketch.retrieval.scores import CategoryScores, Scores, fuse, log_likelihoods


def made_up(kind="logit", system="tied", scores=((1.0, -1.0, 0.5), (0.0, 2.0, -3.0))) -> Scores:
    category = CategoryScores(
        "bells", ("x", "y"), ("a", "b", "c"), np.array([0, 1]), np.array(scores, dtype=np.float32)
    )
    return Scores(kind, "demo", "abc", "paper", "test", system, (category,))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_networks_multiply_their_sigmoids():
    one, other = made_up(), made_up(scores=((0.2, 0.4, -0.6), (1.0, 1.0, 1.0)))
    fused = fuse([one, other])
    assert fused.kind == "log_likelihood"
    expected = sigmoid(1.0) * sigmoid(0.2)
    assert math.exp(fused.categories[0].scores[0, 0]) == pytest.approx(expected, rel=1e-6)
    expected = sigmoid(-3.0) * sigmoid(1.0)
    assert math.exp(fused.categories[0].scores[1, 2]) == pytest.approx(expected, rel=1e-6)


def test_imisound_is_a_softmax_of_negative_distance_over_candidates():
    cosines = (1.0, 0.5, -1.0)
    likelihood = np.exp(log_likelihoods(np.array([cosines]), "cosine"))[0]
    weights = [math.exp(-0.0), math.exp(-0.5), math.exp(-2.0)]
    assert likelihood.tolist() == pytest.approx([weight / sum(weights) for weight in weights])
    assert likelihood.sum() == pytest.approx(1.0)


def test_a_fusion_can_be_fused_again():
    systems = [
        made_up(),
        made_up(scores=((0.3, 0.1, 0.2), (2.0, 1.0, 0.0))),
        made_up("cosine", scores=((0.9, 0.1, 0.2), (0.0, 1.0, 0.5))),
    ]
    at_once = fuse(systems).categories[0].scores
    in_steps = fuse([fuse(systems[:2]), systems[2]]).categories[0].scores
    np.testing.assert_allclose(in_steps, at_once, rtol=1e-12)


def test_one_network_alone_keeps_its_ranks_even_where_sigmoids_saturate():
    saturated = made_up(scores=((90.0, 95.0, 80.0), (-800.0, -900.0, -810.0)))
    fused = fuse([saturated]).categories[0]
    np.testing.assert_array_equal(fused.ranks, [2.0, 3.0])
    assert np.isfinite(fused.scores).all()


@given(
    st.lists(
        arrays.arrays(np.float32, (2, 3), elements=st.floats(-30, 30, width=32)),
        min_size=2,
        max_size=5,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_systems_does_not_matter_to_the_last_bit(matrices, random):
    systems = [made_up(scores=matrix) for matrix in matrices]
    shuffled = random.sample(systems, len(systems))
    np.testing.assert_array_equal(
        fuse(systems).categories[0].scores, fuse(shuffled).categories[0].scores
    )


@given(
    st.permutations(range(3)),
    arrays.arrays(np.float32, (2, 3), elements=st.floats(-30, 30, width=32)),
    arrays.arrays(np.float32, (2, 3), elements=st.floats(-1, 1, width=32)),
)
def test_the_order_of_candidates_does_not_matter(order, logits, cosines):
    fused = fuse([made_up(scores=logits), made_up("cosine", scores=cosines)])
    moved = fuse([made_up(scores=logits[:, order]), made_up("cosine", scores=cosines[:, order])])
    np.testing.assert_allclose(
        moved.categories[0].scores, fused.categories[0].scores[:, order], rtol=1e-12
    )


def test_the_fusion_is_named_after_its_systems():
    systems = [made_up(system="tied"), made_up(system="untied")]
    assert fuse(systems).system == "tied+untied"


def category(**change) -> Scores:
    return replace(
        made_up(system="other"), categories=(replace(made_up().categories[0], **change),)
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(made_up(), corpus="folder"), "their corpus differs, 'demo' and 'folder'"),
        (replace(made_up(), split="xyz"), "their split differs, 'abc' and 'xyz'"),
        (replace(made_up(), half="validation"), "their half differs, 'test' and 'validation'"),
        (
            category(category="dogs"),
            "categories differ, 2 are only in one, such as 'bells'",
        ),
        (replace(made_up(), categories=()), "categories differ, 1 are only in one"),
        (category(queries=("x", "z")), "queries in bells differ, 2 are only in one, such as 'y'"),
        (
            category(candidates=("a", "b", "d")),
            "tied and other do not belong together: their candidates in bells differ, .*'c'",
        ),
        (category(candidates=("b", "a", "c")), "candidates in bells differ in their order"),
        (category(targets=np.array([0, 2])), "targets in bells differ"),
        (made_up("similarity"), "kind 'similarity' are not likelihoods"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(other, message):
    with pytest.raises(ConfigError, match=message):
        fuse([made_up(), other])


def test_no_system_is_refused():
    with pytest.raises(ConfigError, match="nothing to fuse"):
        fuse([])
