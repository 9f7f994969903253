"""What Lightning and torch say: noise left out, refusals in one line and early."""

import logging
import re
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning_fabric.utilities.exceptions import MisconfigurationException

from vocalsketch.errors import ConfigError

NOISE = (
    # Lightning's own use of what its dependencies deprecate
    r"[\s\S]*JsonargparseDeprecationWarning",
    r".*isinstance\(treespec, LeafSpec\)",
    # advice that does not apply: batches are read from mapped memory, in no time
    r".*does not have many workers",
    # a frozen backbone, as asked for
    r"Found \d+ module\(s\) in eval mode at the start of training",
    # a resumed run, and an evaluation in a folder of its own, are as they should be
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",
    # a checkpoint's weights are the average already
    r"You're using the WeightAveraging callback, but loading a checkpoint outside",
)
ADVERTISEMENTS = ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.seed")


@contextmanager
def without_noise() -> Iterator[None]:
    """Ignore known noise within the block, and advertisements from then on."""
    with warnings.catch_warnings():
        for pattern in NOISE:
            warnings.filterwarnings("ignore", pattern)
        for name in ADVERTISEMENTS:
            logging.getLogger(name).setLevel(logging.WARNING)
        yield


# an error that one of these raises itself is about a setting, not about this program
LIBRARIES = (
    "pytorch_lightning.",
    "lightning_fabric.",
    "torch.optim.",
    "torch.utils.data.",  # of a worker that died, wherever the signal finds this process
)
KINDS = (ArithmeticError, KeyError, RuntimeError, TypeError, ValueError)
OUT_OF_MEMORY = re.compile(r"out of memory|allocate memory", re.IGNORECASE)


@contextmanager
def refusals_explained() -> Iterator[None]:
    """Turn what a library refuses within the block into one clear error.

    Raises:
        ConfigError: It refused a setting.
    """
    try:
        yield
    except MisconfigurationException as error:
        raise ConfigError(f"The run is refused: {_in_a_line(error)}") from error
    except KINDS as error:
        if not is_raised_by(error, LIBRARIES) or OUT_OF_MEMORY.search(str(error)):
            raise
        raise ConfigError(f"The run is refused: {_in_a_line(error)}{_remedy(error)}") from error


def is_raised_by(error: BaseException, packages: tuple[str, ...]) -> bool:
    """Return whether a package raised an error itself, rather than what it had called."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return f"{frame.f_globals.get('__name__', '')}.".startswith(packages)


def check_fit(settings: Any, stages: Sequence[str]) -> None:
    """Refuse what Lightning would notice after an epoch, or not at all.

    ``settings`` are the config's ``trainer``; ``stages`` are what follows, ``val`` or ``test``.

    Raises:
        ConfigError: A setting leaves nothing to train, to validate or to rank.
    """
    for part in ("train", *stages):
        if getattr(settings, f"limit_{part}_batches") == 0:
            raise ConfigError(
                f"trainer.limit_{part}_batches is 0, which leaves nothing to "
                f"{'train on' if part == 'train' else 'rank'}: give a share above 0, a number of "
                "batches, or leave it out."
            )
    if settings.overfit_batches:
        raise ConfigError(
            f"trainer.overfit_batches is {settings.overfit_batches}: Lightning would replace how "
            "batches are drawn, which pairs need. Give trainer.limit_train_batches instead."
        )


def _in_a_line(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
        if text.isidentifier():  # what an optimizer looks for in another's state
            text = f"{text!r} is missing; is the checkpoint of another optimizer?"
    return " ".join(text.split()) or type(error).__name__


def _remedy(error: BaseException) -> str:
    if not str(error).startswith(("DataLoader worker", "DataLoader timed out")):
        return ""
    return (
        ". The processes that read batches share memory (/dev/shm), which may be exhausted: give "
        "--data.init_args.workers 0, or the machine more of it."
    )
