"""Batches of distinct sounds, each with one or more of its imitations, real or synthesised."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import Clips
from vocalsketch.datamodules.imitated import imitated_corpus
from vocalsketch.datamodules.retrieval import RetrievalDataModule
from vocalsketch.datasets.records import Imitation, Sound
from vocalsketch.domain import Indices
from vocalsketch.errors import ConfigError, refuse_below
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.front_end import FrontEnd


class ContrastiveBatch(NamedTuple):
    """Clips to train on; sounds are numbered alike in all processes."""

    imitations: Tensor  # (imitations, bins, frames)
    recordings: Tensor  # (sounds, bins, frames)
    targets: Tensor  # (imitations,), the number of the sound that each imitates
    sounds: Tensor  # (sounds,), the number of each sound, none twice
    target_categories: Tensor  # (imitations,), the number of the target's classes
    categories: Tensor  # (sounds,), likewise; of its category where no class is known


class Drawn(NamedTuple):
    """What a batch is of: rows of sounds, and rows of imitations of them."""

    sounds: Indices
    imitations: Indices


def contrastive_batches(
    parts: Sequence[tuple[Indices, int]],
    imitations_of: Sequence[Indices],
    *,
    each: int,
    steps: int,
    seed: int,
    epoch: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> list[Drawn]:
    """Draw each batch's sounds without repetition, and for each some of its imitations.

    Args:
        parts: Rows of the sounds of each part, and how many of them a batch holds.
        imitations_of: For each sound, the rows of its imitations.
        each: Imitations of a sound in a batch; those of a sound with fewer come again.
        steps: Batches in an epoch, of each process.
        seed: Of all drawing.
        epoch: Which is drawn anew.
        rank: Which process this is.
        processes: How many there are.
    """
    rng = np.random.default_rng([seed, epoch])
    streams = [_stream(rows, count * processes, rng) for rows, count in parts]
    own = np.random.default_rng([seed, epoch, rank])
    drawn = []
    for _ in range(steps):
        together = [next(stream).reshape(processes, -1)[rank] for stream in streams]
        sounds = np.concatenate(together)
        orders = (own.permutation(imitations_of[sound]) for sound in sounds)
        drawn.append(Drawn(sounds, np.concatenate([np.resize(order, each) for order in orders])))
    return drawn


def _stream(rows: Indices, count: int, rng: np.random.Generator) -> Iterator[Indices]:
    """Yield so many sounds at a time; all come before one comes again."""
    left = np.empty(0, dtype=np.int64)
    while True:
        if len(left) < count:
            order = rng.permutation(rows)
            again = np.isin(order, left)
            left = np.concatenate([left, order[~again], order[again]])
        batch, left = left[:count], left[count:]
        yield batch


class ContrastiveClips(NamedTuple):
    """Turns what was drawn into spectrograms."""

    imitations: Clips[Imitation]
    recordings: Clips[Sound]
    targets: Indices  # (imitations,), the row of the sound that each imitates
    categories: Indices  # (sounds,), the number of the classes of each

    def read(self, drawn: Drawn) -> ContrastiveBatch:
        """Read the clips of a batch."""
        targets = self.targets[drawn.imitations]
        numbers = (targets, drawn.sounds, self.categories[targets], self.categories[drawn.sounds])
        return ContrastiveBatch(
            self.imitations.read(drawn.imitations),
            self.recordings.read(drawn.sounds),
            *map(torch.from_numpy, numbers),
        )


class ContrastiveDataModule(RetrievalDataModule):
    """A corpus's development sounds, sounds with synthesised imitations, or a mixture of both.

    Validation and test are those of the corpus. Imitations of further sounds are made once, in the
    cache folder. An epoch passes through the imitations of each part once on average.

    Args:
        root: As ``RetrievalDataModule``.
        imitation_front_end: Turns imitations into spectrograms; ``AudibleMel`` if left out.
        recording_front_end: Likewise for recordings.
        batch_size: Distinct sounds in a batch of one process.
        imitations: Imitations of each sound in a batch.
        sounds: Folders of sounds whose imitations are synthesised.
        procedural: Number of procedural sounds beside them.
        people: Synthetic people, each of whom imitates every such sound once.
        synthesis_seed: Of procedural sounds and of what these people do; seeds of a training then
            differ in initialisation and batches alone, and find the imitations made.
        real: Share of a batch that comes from the corpus's development half; the rest comes from
            sounds with synthesised imitations. All of it if left out and there are none of those.
        options: As ``RetrievalDataModule``.
    """

    def __init__(
        self,
        root: str = "demo",
        imitation_front_end: FrontEnd | None = None,
        recording_front_end: FrontEnd | None = None,
        batch_size: int = 128,
        imitations: int = 1,
        sounds: list[str] = [],  # noqa: B006 - never changed; jsonargparse shows it in help
        procedural: int = 0,
        people: int = 6,
        synthesis_seed: int = 0,
        real: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            root,
            imitation_front_end=imitation_front_end or AudibleMel(),
            recording_front_end=recording_front_end or AudibleMel(),
            **options,
        )
        synthesised = bool(sounds or procedural)
        self.real = (0.0 if synthesised else 1.0) if real is None else real
        refuse_below(2, batch_size=batch_size)
        refuse_below(1, imitations=imitations, people=people)
        refuse_below(0, synthesis_seed=synthesis_seed)
        if not 0 <= self.real <= 1:
            raise ConfigError(f"real is {real}: it is a share of a batch, from 0 to 1.")
        if self.real < 1 and not synthesised:
            raise ConfigError(
                f"real is {real}, but there is nothing else to train on: give sounds or procedural."
            )
        self.batch_size = batch_size
        self.each = imitations
        self.made: dict[str, Any] = {
            "folders": sounds,
            "procedural": procedural,
            "people": people,
            "seed": synthesis_seed,
        }
        self._trained: tuple[ContrastiveClips, list[tuple[Indices, int]]] | None = None

    def setup(self, stage: str) -> None:
        """Open the features that the stage needs; imitations are made where there are none."""
        super().setup(stage)
        if stage == "fit" and self._trained is None:
            self._trained = self._opened()

    def train_dataloader(self) -> DataLoader[ContrastiveBatch]:
        """Return batches; the same for the same seed and number of processes."""
        assert self._trained is not None, "setup('fit') comes first"
        clips, parts = self._trained
        counts = np.bincount(clips.targets, minlength=len(clips.recordings))
        in_order = np.argsort(clips.targets, kind="stable")
        imitations_of = np.split(in_order, np.cumsum(counts)[:-1])
        rounds = max(counts[rows].sum() / (count * self.each) for rows, count in parts)
        steps = max(1, round(rounds / self.process["processes"]))
        told = {"each": self.each, "steps": steps, "seed": self.seed}
        return self.loader(clips.read, partial(contrastive_batches, parts, imitations_of, **told))

    def _opened(self) -> tuple[ContrastiveClips, list[tuple[Indices, int]]]:
        """Return all clips that train, and of the corpus's sounds and others, which and how many.

        So many are in a batch.
        """
        wanted: list[Sound] = []
        made: list[Imitation] = []
        if self.real > 0:
            wanted += self.records("recording", "train")
            made += self.records("imitation", "train")
        real = {sound.id for sound in wanted}
        if self.real < 1:
            corpus = imitated_corpus(**self.made, jobs=self.jobs, ray=self.ray)
            wanted += corpus.sounds
            made += corpus.imitations
        recordings = self.open(self.recording_front_end, wanted)
        sounds = recordings.records
        row = {sound.id: number for number, sound in enumerate(sounds)}
        usable = [each for each in made if each.sound_id in row]
        clips = self.open(self.imitation_front_end, usable)
        targets = np.array([row[each.sound_id] for each in clips.records], dtype=np.int64)
        kinds = ["\0".join(sound.classes or (sound.category,)) for sound in sounds]
        _, categories = np.unique(kinds, return_inverse=True)
        imitated = np.unique(targets)  # a sound whose imitations are all unreadable is left out
        is_real = np.array([sounds[row].id in real for row in imitated])
        count = round(self.real * self.batch_size)
        parts = (imitated[is_real], count), (imitated[~is_real], self.batch_size - count)
        return ContrastiveClips(clips, recordings, targets, categories), [
            self._part(rows, size) for rows, size in parts if size
        ]

    def _part(self, rows: Indices, count: int) -> tuple[Indices, int]:
        processes = self.process["processes"]
        most = len(rows) // processes
        if most < 2:
            raise ConfigError(
                f"{len(rows)} sounds cannot be told apart in batches of {processes} processes: "
                "contrast needs two or more each; give more sounds, or another share of real ones."
            )
        return rows, min(count, most)
