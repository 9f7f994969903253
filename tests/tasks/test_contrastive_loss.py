"""The contrastive loss, held to plain Python and to pytorch-metric-learning's definition."""

import math

import pytest
import torch

from vocalsketch.tasks.contrastive import contrastive_loss, triplet_loss


def test_it_is_the_mean_over_rows_and_columns_of_minus_log_softmax() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-2))]
    columns = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(-3))]
    expected = (sum(rows) / 2 + sum(columns) / 2) / 2
    assert float(contrastive_loss(logits, torch.eye(2, dtype=torch.bool))) == pytest.approx(
        expected
    )


def test_two_imitations_of_one_sound_are_no_rivals() -> None:
    positive = torch.tensor([[True, False], [True, False], [False, True]])
    logits = torch.zeros(3, 2, requires_grad=True)
    contrastive_loss(logits, positive).backward()
    gradient = logits.grad
    assert (gradient[positive] < 0).all()
    assert (gradient[~positive] > 0).all()
    # a column's softmax over its two imitations: both are wanted, so neither is pushed down by it
    torch.testing.assert_close(gradient[0], gradient[1])


def test_one_direction_leaves_columns_out() -> None:
    logits = torch.randn(4, 4)
    eye = torch.eye(4, dtype=torch.bool)
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(4))
    torch.testing.assert_close(contrastive_loss(logits, eye, symmetric=False), expected)


def test_a_sound_without_an_imitation_is_a_rival_only() -> None:
    logits = torch.randn(2, 3)
    positive = torch.eye(2, 3, dtype=torch.bool)
    expected = (
        torch.nn.functional.cross_entropy(logits, torch.arange(2))
        + torch.nn.functional.cross_entropy(logits.T[:2], torch.arange(2))
    ) / 2
    torch.testing.assert_close(contrastive_loss(logits, positive), expected)


def test_the_triplet_term_counts_the_hardest_rival_of_the_category() -> None:
    similarities = torch.tensor([[0.5, 0.4, 0.9]])
    positive = torch.tensor([[True, False, False]])
    everyone = torch.tensor([[True, True, True]])
    same_class = torch.tensor([[True, True, False]])
    nobody = torch.tensor([[True, False, False]])
    assert float(triplet_loss(similarities, positive, everyone, 0.2)) == pytest.approx(0.6)
    assert float(triplet_loss(similarities, positive, same_class, 0.2)) == pytest.approx(0.1)
    assert float(triplet_loss(similarities, positive, nobody, 0.2)) == 0.0
