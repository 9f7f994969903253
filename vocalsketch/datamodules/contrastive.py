"""Batches of distinct sounds, each with one or more of its imitations, real or synthesised."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from vocalsketch.datamodules.batches import Clips, batch_loader, process_of
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


class ContrastiveSampler(DistributedSampler[Drawn]):
    """Draws each batch's sounds without repetition, and for each some of its imitations.

    Args:
        parts: Rows of the sounds of each part, and how many of them a batch holds.
        imitations_of: For each sound, the rows of its imitations.
        each: Imitations of a sound in a batch; those of a sound with fewer come again.
        steps: Batches in an epoch, of each process.
        seed: Of all drawing.
        rank: Which process this is, of so many ``processes``.
    """

    def __init__(
        self,
        parts: Sequence[tuple[Indices, int]],
        imitations_of: Sequence[Indices],
        *,
        each: int,
        steps: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        super().__init__(range(steps), processes, rank, seed=seed)  # type: ignore[arg-type]
        self.parts = parts
        self.imitations_of = imitations_of
        self.each = each
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Drawn]:
        rng = np.random.default_rng([self.seed, self.epoch])
        streams = [self._stream(rows, count, rng) for rows, count in self.parts]
        own = np.random.default_rng([self.seed, self.epoch, self.rank])
        for _ in range(self.steps):
            sounds = np.concatenate([next(stream) for stream in streams])
            orders = (own.permutation(self.imitations_of[sound]) for sound in sounds)
            yield Drawn(sounds, np.concatenate([np.resize(order, self.each) for order in orders]))

    def _stream(self, rows: Indices, count: int, rng: np.random.Generator) -> Iterator[Indices]:
        """Yield this process's sounds of each batch; all come before one comes again."""
        together = count * self.num_replicas
        left = np.empty(0, dtype=np.int64)
        while True:
            if len(left) < together:
                order = rng.permutation(rows)
                left = np.concatenate(
                    [left, order[~np.isin(order, left)], order[np.isin(order, left)]]
                )
            batch, left = left[:together], left[together:]
            yield batch[self.rank * count : (self.rank + 1) * count]


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
            *(torch.from_numpy(each) for each in numbers),
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
        real: Share of a batch that comes from the corpus's development half; the rest comes from
            sounds with synthesised imitations. All of it if left out and there are none of those.
        options: As ``RetrievalDataModule``.

    Raises:
        ConfigError: A value is out of range.
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
        _check(self.real, synthesised)
        self.batch_size = batch_size
        self.each = imitations
        self.folders = sounds
        self.procedural = procedural
        self.people = people
        self._trained: tuple[ContrastiveClips, list[tuple[Indices, int]]] | None = None

    def prepare_data(self) -> None:
        """Make imitations, and the features that the coming stage needs, on one process."""
        super().prepare_data()
        if self.trainer is None or self.trainer.state.fn == "fit":
            sounds, imitations = self._wanted()
            self.readable("recording", sounds)
            self.readable("imitation", imitations)

    def setup(self, stage: str) -> None:
        """Open the features that the stage needs."""
        super().setup(stage)
        if stage == "fit" and self._trained is None:
            self._trained = self._opened()

    def train_dataloader(self) -> DataLoader[ContrastiveBatch]:
        """Return batches; the same for the same seed and number of processes."""
        assert self._trained is not None, "setup('fit') comes first"
        clips, parts = self._trained
        process = process_of(self.trainer)
        sounds = range(len(clips.recordings))
        imitations_of = [np.flatnonzero(clips.targets == sound) for sound in sounds]
        rounds = [
            sum(len(imitations_of[row]) for row in rows) / (count * self.each)
            for rows, count in parts
        ]
        sampler = ContrastiveSampler(
            parts,
            imitations_of,
            each=self.each,
            steps=max(1, round(max(rounds) / process["processes"])),
            seed=self.seed,
            **process,
        )
        return batch_loader(clips.read, sampler, self.reading.workers)

    def _wanted(self) -> tuple[list[Sound], list[Imitation]]:
        """Return all sounds that train, those of the corpus first, and their imitations."""
        sounds: list[Sound] = []
        imitations: list[Imitation] = []
        if self.real > 0:
            sounds += self.records("recording", "train")
            imitations += self.records("imitation", "train")
        if self.real < 1:
            how = self.reading.jobs, self.reading.ray
            made = imitated_corpus(self.folders, self.procedural, self.people, self.seed, *how)
            sounds += made.sounds
            imitations += made.imitations
        return sounds, imitations

    def _opened(self) -> tuple[ContrastiveClips, list[tuple[Indices, int]]]:
        wanted, made = self._wanted()
        recordings = self.readable("recording", wanted)
        sounds = recordings.records
        row = {sound.id: number for number, sound in enumerate(sounds)}
        clips = self.readable("imitation", [each for each in made if each.sound_id in row])
        targets = np.array([row[each.sound_id] for each in clips.records], dtype=np.int64)
        kinds = ["\0".join(sound.classes or (sound.category,)) for sound in sounds]
        _, categories = np.unique(kinds, return_inverse=True)
        real = {sound.id for sound in self.records("recording", "train")} if self.real else set()
        imitated = np.unique(targets)  # a sound whose imitations are all unreadable is left out
        is_real = np.array([sounds[row].id in real for row in imitated])
        count = round(self.real * self.batch_size)
        parts = [(imitated[is_real], count), (imitated[~is_real], self.batch_size - count)]
        return ContrastiveClips(clips, recordings, targets, categories), [
            self._part(rows, size) for rows, size in parts if size
        ]

    def _part(self, rows: Indices, count: int) -> tuple[Indices, int]:
        processes = process_of(self.trainer)["processes"]
        most = len(rows) // processes
        if most < 2:
            raise ConfigError(
                f"{len(rows)} sounds cannot be told apart in batches of {processes} processes: "
                "contrast needs two or more each; give more sounds, or another share of real ones."
            )
        return rows, min(count, most)


def _check(real: float, synthesised: bool) -> None:
    if not 0 <= real <= 1:
        raise ConfigError(f"real is {real}: it is a share of a batch, from 0 to 1.")
    if real < 1 and not synthesised:
        raise ConfigError(
            f"real is {real}, but there is nothing else to train on: give sounds or procedural."
        )
