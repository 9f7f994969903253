"""Small networks and front ends to look into."""

import pytest
import torch

from vocalsketch.domain import SIDES
from vocalsketch.features.mel import LogMel
from vocalsketch.interpret.subject import Subject
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.systems.siamese import Siamese, SiameseGeometry


@pytest.fixture
def front_end() -> LogMel:
    return LogMel(4000, 0.5, window=40, bands=12, minimum_frequency=0.0, maximum_frequency=2000.0,
                  frames=20)  # fmt: skip


@pytest.fixture
def network(front_end: LogMel) -> Siamese:
    """An untied network of two stages and two hidden layers, with seeded weights."""
    tower = TowerGeometry([ConvStage(4, (3, 3), (2, 2)), ConvStage(5, (2, 3))], batch_norm=True)
    geometry = SiameseGeometry(front_end.shape, front_end.shape, tower, tower, hidden=(8, 3))
    torch.manual_seed(0)
    return Siamese(dict.fromkeys(SIDES, front_end), geometry).eval()


@pytest.fixture
def subject(network: Siamese) -> Subject:
    return Subject("small", network, "demo")
