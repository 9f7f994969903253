"""Embeddings from all processes, and scores once an evaluation."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_networks import siamese

from vocalsketch.datamodules.batches import ClipBatch
from vocalsketch.models import ConvStage, TowerGeometry
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
        imitations=SimpleNamespace(records=names),
        sounds=SimpleNamespace(records=names[:2]),
        clips={"imitation": names, "recording": names[:2]},
        targets=np.array([0, 1, 1]),
        categories=lambda: iter([("bells", np.arange(3), np.arange(2))]),
    )
    module._trainer = SimpleNamespace(
        world_size=processes,
        state=SimpleNamespace(fn="validate"),
        datamodule=SimpleNamespace(evaluation_set=lambda stage: evaluated),
        strategy=SimpleNamespace(reduce=lambda tensor, reduce_op: tensor),
    )
    return module.eval()


def see(module: RetrievalTask, side: str) -> None:
    count = COUNTS[side]
    module.validation_step(ClipBatch(side, torch.arange(count), torch.randn(count, 8, 8)))


@pytest.mark.parametrize("others", [0, 4])
@torch.no_grad()
def test_a_side_that_this_process_has_not_seen_is_no_error(
    others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = task(processes=2)
    see(module, "imitation")
    theirs = torch.tensor([0, others])  # how wide what the other process holds of each side is
    monkeypatch.setattr(module, "all_gather", lambda own: torch.stack([own, theirs]))
    assert module.embeddings() is None  # of the recordings nothing was seen here
    assert module.category_scores() is None
    assert ("recording" in module._held) == bool(others)  # else the others would wait for a sum


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
