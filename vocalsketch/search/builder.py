"""Builds an index, and brings it up to date."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytorch_lightning as pl
import torch

from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.files import locked
from vocalsketch.search.building import LibraryData, PartWriter, Target
from vocalsketch.search.embedding import LibraryEmbedder
from vocalsketch.search.manifest import NETWORK, Manifest
from vocalsketch.search.publishing import BuildReport, publish
from vocalsketch.search.table import PRECISIONS, Precision
from vocalsketch.systems import System, load_system

LOCK = ".lock"
NOISE = (
    r".*does not have many workers",
    r"Total length of `DataLoader` across ranks is zero",
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning's own use of what torch deprecates
)


def build_index(
    library: Path,
    index: Path,
    checkpoint: Path | None = None,
    *,
    jobs: int | None = None,
    accelerator: str = "cpu",
    devices: int = 1,
    nodes: int = 1,
    precision: Precision | None = None,
    progress: bool = True,
) -> BuildReport | None:
    """Index a library, or bring its index up to date; readers see the old version until the end.

    A build that was killed goes on where it was. Under several processes each calls this, as
    Lightning starts them, and the first writes the index.

    Args:
        library: The folder of sounds.
        index: The index's folder.
        checkpoint: The network; may be left out where the index exists, which holds it.
        jobs: Threads of each process; by default a core each.
        accelerator: ``cpu``, ``gpu``, ``auto``, ...: as Lightning calls them.
        devices: Processes on this machine, each with a device of its own.
        nodes: Machines.
        precision: Of the stored shares, ``float32`` (by default) or ``float16``.
        progress: Whether to show a progress bar on standard error.

    Returns:
        What was done; None in all processes but the first.

    Raises:
        DatasetError: The library holds no audio.
        CheckpointError: The checkpoint cannot be used, or the index is of another one.
        ConfigError: An argument is out of range.
        StorageError: The index cannot be written, or another build is at work on it.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"jobs is {jobs}: give 1 or more.")
    trained, precision = _chosen(library, index, checkpoint, precision)
    width = _width(trained)
    target = Target(index, trained.fingerprint, width, precision)
    with _without_noise():
        trainer = _trainer(PartWriter(target, progress), accelerator, devices, nodes)
        with _alone(index) if trainer.is_global_zero else nullcontext():
            if trainer.is_global_zero and checkpoint is not None:
                trained.save(index / NETWORK)
            embedder = LibraryEmbedder(trained, library.resolve(), jobs)
            _predict(trainer, embedder, LibraryData(library, target))
            if not trainer.is_global_zero:
                return None
            return publish(library, target, trained.corpus)


def _trainer(writer: PartWriter, accelerator: str, devices: int, nodes: int) -> pl.Trainer:
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        callbacks=[writer],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _chosen(
    library: Path, index: Path, checkpoint: Path | None, precision: Precision | None
) -> tuple[System, Precision]:
    """Return the network and the precision to use, which are those of the index if it exists."""
    if precision not in (None, *PRECISIONS):
        raise ConfigError(f"precision is {precision!r}: choose {' or '.join(PRECISIONS)}.")
    if checkpoint is None and not (index / NETWORK).exists():
        raise CheckpointError(f"There is no index in {index} yet: give --checkpoint to make one.")
    trained = load_system(checkpoint or index / NETWORK)
    if not Manifest.exists(index):
        return trained, precision or "float32"
    manifest = Manifest.read(index)
    if manifest.fingerprint != trained.fingerprint:
        raise CheckpointError(
            f"The index in {index} is of network {manifest.fingerprint}, {checkpoint or NETWORK} "
            f"holds {trained.fingerprint}: build it in another folder, or leave --checkpoint out."
        )
    if precision not in (None, manifest.precision):
        raise ConfigError(
            f"The index in {index} is stored in {manifest.precision}, not {precision}: build it "
            "in another folder, or leave --precision out."
        )
    before = Path(manifest.library)
    if before.is_dir() and before.resolve() != library.resolve():
        raise ConfigError(
            f"The index in {index} is of {before}, not of {library}: build it in another folder. "
            "(A library that was moved keeps its index.)"
        )
    return trained, manifest.precision


def _width(system: System) -> int:
    """Return how many numbers an embedding has."""
    clip = torch.zeros(1, system.front_ends["recording"].samples)
    with torch.no_grad():
        return system.hear("recording", clip).shape[1]


def _predict(trainer: pl.Trainer, embedder: LibraryEmbedder, data: LibraryData) -> None:
    try:
        trainer.predict(embedder, data, return_predictions=False)
    except SystemExit as error:
        if trainer.interrupted:  # Lightning makes an exit of Ctrl-C
            raise KeyboardInterrupt from error
        raise


def _alone(index: Path) -> AbstractContextManager[None]:
    """Keep other builds of the same index out; a killed one leaves no lock behind."""
    busy = f"Another build is at work on {index}: wait until it is done, or build elsewhere."
    return locked(index / LOCK, busy)


@contextmanager
def _without_noise() -> Iterator[None]:
    """Leave out what Lightning says of devices and workers: that threads read is meant."""
    logger = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for pattern in NOISE:
                warnings.filterwarnings("ignore", pattern)
            yield
    finally:
        logger.setLevel(level)
