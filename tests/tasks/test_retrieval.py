"""Embeddings from all processes, and scores once an evaluation."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_networks import siamese

from vocalsketch.datamodules.batches import ClipBatch, Clips
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.systems.siamese import SiameseGeometry
from vocalsketch.tasks import RetrievalTask

TOWER = TowerGeometry([ConvStage(2, (3, 3))])
COUNTS = {"imitation": 3, "recording": 2}


def task(processes: int) -> RetrievalTask:
    """A task in the middle of an evaluation of three imitations among two recordings."""
    torch.manual_seed(0)
    module = RetrievalTask(siamese(SiameseGeometry((8, 8), (8, 8), TOWER, TOWER, hidden=(4,))))
    names = tuple(SimpleNamespace(id=str(number), classes=()) for number in range(3))
    evaluated = SimpleNamespace(
        clips={"imitation": Clips({}, names), "recording": Clips({}, names[:2])},
        targets=np.array([0, 1, 1]),
        categories=lambda: iter([("bells", np.arange(3), np.arange(2))]),
    )
    module._trainer = SimpleNamespace(
        world_size=processes,
        state=SimpleNamespace(fn="validate"),
        datamodule=SimpleNamespace(evaluation_set=lambda stage: evaluated),
    )
    return module.eval()


def see(module: RetrievalTask, side: str) -> None:
    count = COUNTS[side]
    module.validation_step(ClipBatch(side, torch.arange(count), torch.randn(count, 8, 8)))


@pytest.mark.parametrize("others", [0, 1, 2])
@torch.no_grad()
def test_a_side_that_this_process_has_not_seen_is_no_error(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = task(processes=2)
    see(module, "imitation")
    rows = torch.arange(others).flip(0)  # what the other process has seen of the recordings
    theirs = {"imitation": [], "recording": [(rows, rows[:, None].float())]}

    def gather(of_processes: list, own: dict) -> None:
        of_processes[:] = [own, theirs]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    embeddings = module.embeddings()
    if others < 2:
        assert embeddings is None
        assert module.category_scores() is None
    else:
        assert embeddings["recording"].tolist() == [[0.0], [1.0]]


@torch.no_grad()
def test_scores_are_computed_once_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    module, calls = task(processes=1), []
    score = module.system.score
    monkeypatch.setattr(module.system, "score", lambda *sides: calls.append(1) or score(*sides))
    for side in COUNTS:
        see(module, side)
    first = module.category_scores()
    assert module.category_scores() is first
    assert len(calls) == 1
    assert first[0].scores.shape == (3, 2)
    module.on_validation_epoch_start()
    assert module.category_scores() is None
