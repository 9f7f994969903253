"""What an unfinished build keeps on disk: its plan, and parts of what it has embedded."""

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter
from torch.utils.data import DataLoader
from tqdm import tqdm

from vocalsketch.files import write_text
from vocalsketch.search.embedding import Embedded, LibraryEmbedder
from vocalsketch.search.library import LibraryFile, list_library, tags_of
from vocalsketch.search.manifest import Manifest
from vocalsketch.search.plan import PARTS, make_plan, open_parts
from vocalsketch.search.table import Precision, SoundTable, batch_of, schema_of, write_table

FILES_AT_ONCE = 256  # embedded between two writes: what a killed build loses
PLAN = "plan.json"


class Target(NamedTuple):
    """What is built: the index's folder, and what every stored share depends on."""

    folder: Path
    fingerprint: str
    width: int
    precision: Precision

    @property
    def building(self) -> Path:
        """The folder of what an unfinished build keeps."""
        return self.folder / PARTS

    def current(self) -> tuple[Manifest | None, SoundTable | None]:
        """Return the index's current version, if it has one."""
        if not Manifest.exists(self.folder):
            return None, None
        manifest = Manifest.read(self.folder)
        return manifest, SoundTable(self.folder / manifest.table)


class LibraryData(pl.LightningDataModule):
    """The files to embed, shared among all processes.

    One process compares the library with the index and writes down what is to be done; each takes
    its files from there.

    Args:
        library: The folder of sounds.
        target: What is built.
    """

    # a process without a file still takes part
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(self, library: Path, target: Target) -> None:
        super().__init__()
        self.prepare_data_per_node = False
        self.library = library
        self.target = target
        self.todo: list[LibraryFile] = []

    def prepare_data(self) -> None:
        """Write the plan."""
        listing = list_library(self.library)
        _, stored = self.target.current()
        parts = open_parts(self.target.folder, self.target.fingerprint)
        plan = make_plan(listing.files, stored, parts)
        values = {
            "files": listing.files,
            "skipped": listing.skipped,
            "todo": plan.todo,
            "reusable": plan.reusable,
        }
        write_text(self.target.building / PLAN, json.dumps(values))

    def setup(self, stage: str) -> None:
        """Read the plan and take this process's share of it."""
        values = read_plan(self.target)
        todo = [LibraryFile(*each) for each in values["todo"]]
        trainer = self.trainer
        assert trainer is not None, "the trainer sets itself"
        self.todo = todo[trainer.global_rank :: trainer.world_size]
        embedder = trainer.lightning_module
        assert isinstance(embedder, LibraryEmbedder), "made for it"
        embedder.give(self.todo, values["reusable"], self.target.current()[1])

    def predict_dataloader(self) -> DataLoader[Any]:
        """Return the numbers of files, many at a time."""
        numbers: Any = range(len(self.todo))
        return DataLoader(numbers, batch_size=FILES_AT_ONCE, collate_fn=list)


class PartWriter(BasePredictionWriter):
    """Keeps what was embedded, each batch in a file of its own, so that a build can go on.

    Args:
        target: What is built.
        progress: Whether the first process shows a progress bar on standard error.
    """

    def __init__(self, target: Target, progress: bool) -> None:
        super().__init__("batch")
        self.target = target
        self.progress = progress
        self._bar: tqdm[Any] | None = None

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the progress bar."""
        several = f" (1 of {trainer.world_size} processes)" if trainer.world_size > 1 else ""
        self._bar = tqdm(
            total=len(trainer.datamodule.todo),  # type: ignore[attr-defined]  # it was given one
            desc=f"embedding{several}",
            unit="sound",
            disable=not (self.progress and trainer.is_global_zero),
        )

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Embedded,
        batch_indices: Sequence[int] | None,
        batch: Sequence[int],
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write one batch."""
        write_part(self.target, prediction)
        assert self._bar is not None, "on_predict_start comes first"
        self._bar.update(len(batch))

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait for the other processes: what they have not written yet would not be published."""
        self._close()
        trainer.strategy.barrier()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the progress bar."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def read_plan(target: Target) -> dict[str, Any]:
    """Return the plan: ``files``, ``skipped``, ``todo`` and ``reusable``."""
    plan: dict[str, Any] = json.loads((target.building / PLAN).read_text(encoding="utf-8"))
    return plan


def write_part(target: Target, embedded: Embedded) -> None:
    """Write rows, and in the file's metadata what was skipped.

    Raises:
        StorageError: The disk is full, or the folder cannot be written.
    """
    metadata = {"fingerprint": target.fingerprint, "skipped": json.dumps(embedded.skipped)}
    schema = schema_of(target.width, target.precision, metadata)
    rows = [(each, number) for each in embedded.files for number in range(len(each.starts))]
    columns: dict[str, list[Any]] = {
        "path": [each.file.path for each, _ in rows],
        "start": [each.starts[number] for each, number in rows],
        "end": [each.ends[number] for each, number in rows],
        "duration": [each.duration for each, _ in rows],
        "sample_rate": [each.sample_rate for each, _ in rows],
        "tags": [tags_of(each.file.path) for each, _ in rows],
        "content": [each.content for each, _ in rows],
        "size": [each.file.size for each, _ in rows],
        "changed": [each.file.changed for each, _ in rows],
    }
    shares = np.array([each.shares[number] for each, number in rows], dtype=np.float32)
    file = target.building / f"part-{secrets.token_hex(8)}.arrow"
    write_table(file, schema, [batch_of(schema, columns, shares.reshape(-1, target.width))])
