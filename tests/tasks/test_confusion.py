"""Figures of a confusion matrix."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
)

from vocalsketch.tasks.classification import Confusion, summed

HAND = Confusion(("dog", "rain", "saw"), np.array([[3, 1, 0], [0, 2, 2], [0, 0, 0]]))


def test_figures_by_hand() -> None:
    assert HAND.clips == 8
    assert HAND.accuracy == 5 / 8
    assert HAND.chance == 4 / 8
    assert HAND.per_class == {"dog": 0.75, "rain": 0.5}  # no clip is a saw
    # 5, 6, 7 or 8 of 8 clips right, each by the toss of a coin: 56 + 28 + 8 + 1 of 256 ways
    assert HAND.p_value == pytest.approx(93 / 256)
    assert HAND.to_dict()["p_value"] == HAND.p_value


def test_folds_are_counted_together() -> None:
    both = summed([HAND, Confusion(HAND.classes, np.array([[0, 0, 0], [0, 0, 0], [0, 0, 2]]))])
    assert both.clips == 10
    assert both.per_class == {"dog": 0.75, "rain": 0.5, "saw": 1.0}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_accuracies_are_those_of_torchmetrics(clips: list[tuple[int, int]]) -> None:
    true, predicted = (torch.tensor(column) for column in zip(*clips, strict=True))
    counts = multiclass_confusion_matrix(predicted, true, 4).numpy()
    confusion = Confusion(("a", "b", "c", "d"), counts)
    overall = multiclass_accuracy(predicted, true, 4, average="micro")
    assert confusion.accuracy == pytest.approx(float(overall))
    each = multiclass_accuracy(predicted, true, 4, average="none")
    for name, value in confusion.per_class.items():
        assert value == pytest.approx(float(each["abcd".index(name)]))


def test_the_picture_has_a_number_in_every_cell_that_is_not_empty() -> None:
    axes = HAND.picture("three classes").axes[0]
    assert [text.get_text() for text in axes.texts] == ["3", "1", "2", "2"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["dog", "rain", "saw"]
    assert axes.get_title() == "three classes"
