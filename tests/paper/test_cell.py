"""One cell: begun, resumed, begun again."""

import numpy as np
import pytest
import torch
import yaml

from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.paper.cell import run_cell
from vocalsketch.retrieval.scores import Scores


@pytest.fixture
def done(tiny_config, tmp_path) -> tuple[RunFolder, list[str]]:
    """A cell that stopped early after two of many epochs, and its arguments."""
    content = yaml.safe_load(tiny_config.read_text())
    stop = {"monitor": "val/loss", "patience": 1, "min_delta": 100.0}
    early = {"class_path": "pytorch_lightning.callbacks.EarlyStopping", "init_args": stop}
    content["trainer"]["callbacks"].insert(0, early)
    content["trainer"]["max_epochs"] = 40
    tiny_config.write_text(yaml.safe_dump(content))
    folder = RunFolder(tmp_path / "cell")
    arguments = ["--config", str(tiny_config)]
    run_cell(folder, arguments)
    assert last_epoch(folder) == 1
    return folder, arguments


def last_epoch(folder: RunFolder) -> int:
    epoch: int = torch.load(folder.checkpoints / "last.ckpt", weights_only=True)["epoch"]
    return epoch


def scores(folder: RunFolder) -> np.ndarray:
    return Scores.load(folder.path / "scores_test.npz").categories[0].scores


def test_a_cell_that_ended_before_its_evaluation_is_evaluated_and_trains_no_further(done):
    folder, arguments = done
    expected = scores(folder)
    (folder.path / "scores_test.npz").unlink()
    run_cell(folder, arguments)
    assert last_epoch(folder) == 1
    np.testing.assert_array_equal(scores(folder), expected)


@pytest.mark.parametrize("damage", ["a damaged checkpoint", "no checkpoint"])
def test_a_cell_without_a_whole_epoch_is_begun_again(done, damage):
    folder, arguments = done
    expected = scores(folder)
    (folder.path / "scores_test.npz").unlink()
    last = folder.checkpoints / "last.ckpt"
    if damage == "no checkpoint":
        last.unlink()
    else:
        last.write_bytes(last.read_bytes()[:1000])
    run_cell(folder, arguments)
    assert last_epoch(folder) == 1
    np.testing.assert_allclose(scores(folder), expected, rtol=1e-5)
