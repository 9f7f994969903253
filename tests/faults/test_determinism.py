"""The same config gives the same numbers, however many processes read the batches."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from labelled_corpora import write_classification_config, write_languages

from vocalsketch.experiment import run_experiment
from vocalsketch.systems.checkpoints import read_checkpoint


def trained(config: Path, folder: Path, workers: int) -> tuple[dict[str, torch.Tensor], Any]:
    """Train with so many reading processes; return the last weights and what was measured."""
    options = ["--run_dir", str(folder), "--data.init_args.workers", str(workers)]
    done = run_experiment("fit", ["--config", str(config), *options])
    measured: dict[str, Any] = dict(done.results)
    measured |= {part: each.to_dict() for part, each in done.confusions.items()}
    weights = read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]
    return weights, (json.dumps(measured, sort_keys=True), done.metrics)


@pytest.fixture
def tower_config(tmp_path: Path) -> Path:
    root = write_languages(tmp_path / "speech", speakers=3, clips=3)
    return write_classification_config(tmp_path / "t.yaml", "LanguageDataModule", root, epochs=2)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than there are cores
@pytest.mark.parametrize("kind", ["tiny_config", "tower_config"])
def test_weights_and_results_are_the_same_bits_with_0_2_and_4_workers(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    config = request.getfixturevalue(kind)
    weights, measured = trained(config, tmp_path / "0", 0)
    assert any(value.abs().sum() > 0 for value in weights.values())
    for workers in (2, 4):
        others, again = trained(config, tmp_path / str(workers), workers)
        assert weights.keys() == others.keys()
        for name, value in weights.items():
            assert torch.equal(value, others[name]), (workers, name)
        assert measured == again
