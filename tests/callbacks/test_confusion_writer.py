"""The confusion matrix of a run: files, and a picture in W&B."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vocalsketch.callbacks import ResultsWriter, WandbTracker
from vocalsketch.datamodules import UrbanSoundDataModule
from vocalsketch.datasets.labelled import LabelledCorpus
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.tasks import ClassificationTask


class RecordingTracker(WandbTracker):
    """A tracker that remembers what it was told."""

    def __init__(self) -> None:
        self.logged: dict[str, object] = {}

    @property
    def experiment(self) -> SimpleNamespace:
        return SimpleNamespace(log=self.logged.update)


@pytest.fixture
def task() -> ClassificationTask:
    """Three clips are counted: a dog for a dog, a dog for rain, rain for rain."""
    tower = TowerGeometry([ConvStage(1, (2, 2))])
    module = ClassificationTask(tower, input_shape=(4, 4), classes=("dog", "rain"))
    module.counts.update(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]))
    return module


def trainer(tracker: WandbTracker, corpus: str, *, first: bool = True) -> SimpleNamespace:
    data = UrbanSoundDataModule("somewhere", fold=3)
    data.corpus = LabelledCorpus(corpus, Path("somewhere"), (), (), {"file is missing": ("a.wav",)})
    return SimpleNamespace(datamodule=data, loggers=[tracker], is_global_zero=first)


def test_figures_counts_and_picture_are_written(task: ClassificationTask, tmp_path: Path) -> None:
    tracker = RecordingTracker()
    writer = ResultsWriter(tmp_path, "tower")
    writer.on_test_epoch_end(trainer(tracker, "demo"), task)

    figures = json.loads((tmp_path / "accuracy_test.json").read_text())
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["per_class"] == {"dog": 0.5, "rain": 1.0}
    assert (figures["corpus"], figures["split"]) == ("demo", "fold 3 held out")
    assert figures["skipped"] == {"file is missing": ["a.wav"]}
    with (tmp_path / "confusion_test.csv").open() as lines:
        assert list(csv.reader(lines)) == [
            ["true class", "dog", "rain"],
            ["dog", "1", "1"],
            ["rain", "0", "1"],
        ]
    assert (tmp_path / "confusion_test.png").read_bytes().startswith(b"\x89PNG")
    assert list(tracker.logged) == ["test/confusion"]
    assert "synthetic; not comparable" in writer.title("test", "demo")


def test_other_processes_count_and_write_nothing(task: ClassificationTask, tmp_path: Path) -> None:
    writer = ResultsWriter(tmp_path, "tower")
    writer.on_test_epoch_end(trainer(RecordingTracker(), "demo", first=False), task)
    assert np.array_equal(writer.confusions["test"].counts, [[1, 1], [0, 1]])
    assert list(tmp_path.iterdir()) == []
