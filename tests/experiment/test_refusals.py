"""What Lightning and torch refuse is one line, and costs no epoch and no folder."""

import os
import signal
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from vocalsketch.datamodules import batches as batches_module
from vocalsketch.errors import ConfigError
from vocalsketch.experiment import run_experiment
from vocalsketch.experiment.refusals import refusals_explained

CALLBACK = "--trainer.callbacks+="


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.limit_val_batches=0"], "trainer.limit_val_batches is 0"),
        (["--trainer.limit_val_batches=0.001"], "check 0.001 of the `val_dataloader`"),
        (["--trainer.limit_test_batches=0"], "trainer.limit_test_batches is 0"),
        (["--trainer.limit_train_batches=0"], "nothing to train on"),
        (["--trainer.limit_train_batches=0.01"], "check 0.01 of the `train_dataloader`"),
        (["--trainer.overfit_batches=1"], "trainer.overfit_batches is 1"),
        (["--trainer.val_check_interval=1000"], r"`val_check_interval` \(1000\) must be less"),
        (["--seed_everything=4294967296"], "seed_everything is 4294967296: .* 0 to 4294967295"),
        (["--seed_everything=-1"], "seed_everything is -1"),
        (["--data.init_args.workers=-1"], "workers is -1: give 0 or more"),
        ([f"{CALLBACK}LearningRateMonitor"], "Cannot use `LearningRateMonitor` callback with"),
        ([f"{CALLBACK}EarlyStopping", "--trainer.callbacks.monitor=val/loss",
          "--trainer.callbacks.mode=least"], "`mode` can be min, max, got least"),
        (["--model.init_args.optimizer=torch.optim.Adam", "--model.init_args.optimizer.lr=-1"],
         "Invalid learning rate: -1.0"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_refused_before_an_epoch(
    options: list[str], message: str, tiny_config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(ConfigError, match=message) as caught:
        run_experiment("fit", ["--config", str(tiny_config), "--run_dir", str(run), *options])
    assert "\n" not in str(caught.value)
    assert [file.name for file in run.glob("*")] in ([], [".lock"])


def test_a_library_s_error_is_a_refusal_and_this_program_s_or_a_lack_of_memory_is_not() -> None:
    with pytest.raises(ConfigError, match="Invalid momentum value"), refusals_explained():
        torch.optim.SGD([torch.zeros(1)], momentum=-1)
    with pytest.raises(ValueError, match="of our own"), refusals_explained():
        raise ValueError("of our own")
    code = compile("raise RuntimeError('CUDA out of memory.')", "library", "exec")
    with pytest.raises(RuntimeError, match="out of memory"), refusals_explained():
        exec(code, {"__name__": "pytorch_lightning.loops"})
    for module in ("dataloader", "_utils.signal_handling"):
        with pytest.raises(ConfigError, match="init_args.workers 0"), refusals_explained():
            said = "raise RuntimeError('DataLoader worker (pid 1) is killed by signal: Bus error.')"
            exec(said, {"__name__": f"torch.utils.data.{module}"})


class Unsendable(Dataset[object]):
    """What a process cannot send, as where shared memory is full: it fails after it was queued."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, number: int) -> object:
        return lambda: number


def test_a_batch_that_never_comes_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "PATIENCE", 1)
    data = Unsendable()
    module = batches_module.ClipDataModule(workers=1)
    batches = module.loader(data.__getitem__, lambda **_: range(len(data)))
    with pytest.raises(ConfigError, match="timed out .*share memory .*workers 0"):
        with refusals_explained():
            next(iter(batches))


class Deadly(Unsendable):
    """What kills the process that reads it, as the system does where memory ends."""

    def __getitem__(self, number: int) -> object:
        os.kill(os.getpid(), signal.SIGKILL)
        return number


def test_a_worker_that_dies_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "PATIENCE", 10)  # where no signal tells of its death
    data = Deadly()
    module = batches_module.ClipDataModule(workers=1)
    batches = module.loader(data.__getitem__, lambda **_: range(len(data)))
    with pytest.raises(ConfigError, match=r"worker \(pid.*workers 0"):
        with refusals_explained():
            next(iter(batches))
