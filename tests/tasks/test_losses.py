"""The two losses of a classifier."""

import math

import numpy as np
import pytest
import torch

from vocalsketch.tasks.classification import LOSSES, sum_normalised_sigmoid


def keras(logits: np.ndarray, labels: np.ndarray) -> float:
    """What Keras 2.0 computes: K.categorical_crossentropy(one_hot, sigmoid(logits)), its mean."""
    output = 1 / (1 + np.exp(-logits))
    output /= output.sum(axis=-1, keepdims=True)
    output = np.clip(output, 1e-7, 1 - 1e-7)
    target = np.eye(logits.shape[1])[labels]
    return float(-(target * np.log(output)).sum(axis=-1).mean())


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_the_literal_loss_is_keras_formula(scale: float) -> None:
    generator = np.random.default_rng(0)
    logits = scale * generator.standard_normal((64, 7))
    labels = generator.integers(0, 7, 64)
    found = sum_normalised_sigmoid(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(found) == pytest.approx(keras(logits, labels), rel=1e-9)


def test_the_literal_loss_is_clipped_where_keras_clips() -> None:
    logits = torch.tensor([[-30.0, 30.0]], dtype=torch.float64)
    assert float(sum_normalised_sigmoid(logits, torch.tensor([0]))) == pytest.approx(
        -math.log(1e-7)
    )


@pytest.mark.parametrize("name", LOSSES)
def test_equal_logits_cost_the_logarithm_of_the_number_of_classes(name: str) -> None:
    loss = LOSSES[name](torch.zeros(3, 7), torch.tensor([0, 3, 6]))
    assert float(loss) == pytest.approx(math.log(7))


def test_units_far_below_zero_keep_their_gradients() -> None:
    logits = torch.full((1, 7), -200.0, requires_grad=True)
    sum_normalised_sigmoid(logits, torch.tensor([2])).backward()
    # the share of each unit is 1/7: the gradient is that of a softmax
    expected = torch.full((1, 7), 1 / 7)
    expected[0, 2] -= 1
    torch.testing.assert_close(logits.grad, expected)
