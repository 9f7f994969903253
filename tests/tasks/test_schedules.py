"""Keras' decay of the learning rate."""

import pytest
import torch

from vocalsketch.tasks.retrieval import with_keras_decay


def test_rate_after_the_papers_420_steps() -> None:
    """30 epochs of 14 batches: 0.01 / (1 + 0.0001 * 420)."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    made = with_keras_decay(optimizer, 1e-4)
    assert made["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(420):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made["lr_scheduler"]["scheduler"].step()
    assert rates[0] == 0.01  # the first step is taken with the whole rate
    assert rates[1] == pytest.approx(0.01 / 1.0001)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.009596929)


def test_no_decay_leaves_the_optimizer_alone() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    assert with_keras_decay(optimizer, 0.0) is optimizer
