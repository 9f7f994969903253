"""The classifiers under which towers are pre-trained: sizes from the paper."""

import pytest
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.models.tower import Classifier, ConvStage, TowerGeometry

IMITATION = TowerGeometry(
    [
        ConvStage(48, (6, 6), (2, 2)),
        ConvStage(48, (6, 6), (2, 2)),
        ConvStage(48, (6, 6), (1, 2)),
    ]
)
RECORDING = TowerGeometry(
    [ConvStage(24, (5, 5), (2, 4)), ConvStage(48, (5, 5), (2, 4)), ConvStage(48, (5, 5))]
)
TINY = TowerGeometry([ConvStage(2, (3, 3), (2, 2))])


@pytest.mark.parametrize(
    ("shape", "tower", "hidden", "classes", "count"),
    [
        # convolutions 1,776 + 2 x 82,992; FC1 2,640 x 256 + 256; FC2 256 x 7 + 7
        ((39, 482), IMITATION, [256], 7, 845_655),
        # convolutions 624 + 28,848 + 57,648; FC1 2,400 x 64 + 64; FC2 64 x 10 + 10
        ((128, 128), RECORDING, [64], 10, 241_434),
    ],
    ids=["languages", "urban sounds"],
)
def test_parameters_are_those_of_the_papers_networks(
    shape: tuple[int, int], tower: TowerGeometry, hidden: list[int], classes: int, count: int
) -> None:
    network = Classifier(shape, tower, classes, hidden)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    assert network(torch.zeros(1, *shape)).shape == (1, classes)


def test_logits_do_not_depend_on_the_other_clips_of_a_batch() -> None:
    network = Classifier((8, 8), TINY, 3, [5]).eval()
    clips = torch.randn(4, 8, 8)
    alone = torch.cat([network(clip[None]) for clip in clips])
    torch.testing.assert_close(network(clips), alone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 1}, "classes is 1: give 2"),
        ({"hidden": [0]}, "hidden is 0: give 1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"input_shape": (2, 8)}, "Stage 1 does not fit"),
    ],
)
def test_impossible_numbers_are_refused(options: dict[str, object], message: str) -> None:
    values = {"input_shape": (8, 8), "tower": TINY, "classes": 3, "hidden": [5], **options}
    with pytest.raises(ConfigError, match=message):
        Classifier(**values)
