"""One job: begun, gone on with, begun anew."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from vocalsketch.errors import CheckpointError, DamagedCheckpointError
from vocalsketch.jobs.job import INTERRUPTED, train
from vocalsketch.retrieval.scores import Scores
from vocalsketch.systems.checkpoints import read_checkpoint, write_checkpoint

Done = tuple[Path, list[str]]


@pytest.fixture
def done(tiny_config: Path, tmp_path: Path) -> Done:
    """A training that stopped early after two of many epochs, and its arguments."""
    content = yaml.safe_load(tiny_config.read_text())
    stop = {"monitor": "val/loss", "patience": 1, "min_delta": 100.0}
    early = {"class_path": "pytorch_lightning.callbacks.EarlyStopping", "init_args": stop}
    content["trainer"]["callbacks"].insert(0, early)
    content["trainer"]["max_epochs"] = 40
    tiny_config.write_text(yaml.safe_dump(content))
    folder = tmp_path / "job"
    arguments = ["--config", str(tiny_config)]
    train(folder, arguments)
    assert last_epoch(folder) == 1
    return folder, arguments


def last_epoch(folder: Path) -> int:
    epoch: int = read_checkpoint(folder / "checkpoints" / "last.ckpt")["epoch"]
    return epoch


def scores(folder: Path) -> np.ndarray:
    return Scores.load(folder / "scores_test.npz").categories[0].scores


def test_what_ended_before_its_evaluation_is_evaluated_and_trains_no_further(done: Done) -> None:
    folder, arguments = done
    expected = scores(folder)
    (folder / "scores_test.npz").unlink()
    train(folder, arguments)
    assert last_epoch(folder) == 1
    np.testing.assert_array_equal(scores(folder), expected)


def test_what_has_no_whole_epoch_is_begun_again(done: Done) -> None:
    folder, arguments = done
    expected = scores(folder)
    (folder / "scores_test.npz").unlink()
    for path in (*folder.glob("results*"), folder / "checkpoints" / "last.ckpt"):
        path.unlink()
    train(folder, arguments)
    assert last_epoch(folder) == 1
    np.testing.assert_allclose(scores(folder), expected, rtol=1e-5)


def test_a_job_ends_when_asked_though_its_shell_lets_programs_ignore_it() -> None:
    code = (
        "import sys, time; from vocalsketch.jobs.job import as_process; "
        "sys.exit(as_process(lambda: (print('begun', flush=True), time.sleep(120))))"
    )
    ignoring = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as `program &` in a script
    try:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        job = subprocess.Popen([sys.executable, "-c", code], **pipes)
    finally:
        signal.signal(signal.SIGINT, ignoring)
    with job:
        assert job.stdout.readline().strip() == b"begun"
        job.send_signal(signal.SIGINT)
        assert job.wait(60) == INTERRUPTED


@pytest.mark.parametrize("content", [b"", b"half a checkp", b"PK\x03\x04", b"\x80\x02h\x00."])
def test_whatever_stands_in_a_checkpoint_s_place_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(DamagedCheckpointError, match="cannot be read|can be read safely"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_a_checkpoint_that_may_not_be_read_is_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {"state_dict": {"a": torch.zeros(2)}})

    def refused(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch, "load", refused)
        with pytest.raises(CheckpointError, match="Permission denied") as error:
            read_checkpoint(path)
    assert not isinstance(error.value, DamagedCheckpointError)
