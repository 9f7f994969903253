"""What the towers are pre-trained on: spoken sentences by language, and urban sounds by class."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import torch
from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import (
    ClipDataModule,
    Clips,
    LabelledBatch,
    Part,
    row_batches,
)
from vocalsketch.datasets.labelled import (
    CLIPS_PER_LANGUAGE,
    LANGUAGES,
    TEST_SHARE,
    LabelledClip,
    LabelledCorpus,
    load_urbansound8k,
    load_voxforge,
    split_fold,
    split_languages,
)
from vocalsketch.datasets.open import DEMO, root_of
from vocalsketch.domain import Indices, Side
from vocalsketch.errors import ConfigError, DatasetError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.mel import ImitationLogMel, RecordingLogMel

# the parts that a stage needs; every other tests
PARTS: dict[str, tuple[Part, ...]] = {"fit": ("train", "validation"), "validate": ("validation",)}


class ClassificationDataModule(ClipDataModule):
    """Clips of known classes, in parts that train, validate and test.

    A subclass reads a corpus and says which clips belong to which part. ``fit`` never opens a clip
    of the test part.

    Args:
        front_end: Turns clips into spectrograms.
        batch_size: Clips in a batch of one process.
        reading: As ``ClipDataModule``.
    """

    side: ClassVar[Side]  # whose tower its clips pre-train

    def __init__(self, front_end: FrontEnd, batch_size: int = 128, **reading: Any) -> None:
        super().__init__(**reading)
        self.front_end = front_end
        self.batch_size = batch_size
        self._opened: dict[Part, Clips[LabelledClip]] = {}

    @cached_property
    @abstractmethod
    def corpus(self) -> LabelledCorpus:
        """The corpus, read from its folders or tables; no audio is decoded."""

    @cached_property
    @abstractmethod
    def parts(self) -> Mapping[Part, tuple[str, ...]]:
        """The ids of the clips that train, validate (perhaps none) and test."""

    @abstractmethod
    def split_name(self) -> str:
        """Return in words how the clips are divided."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by index."""
        return self.corpus.classes

    @property
    def input_shape(self) -> tuple[int, int]:
        """(bins, frames) of a spectrogram."""
        return self.front_end.shape

    @property
    def validates(self) -> bool:
        """Whether some training clips are kept for validation."""
        return bool(self.parts["validation"])

    def provenance(self) -> dict[str, Any]:
        """Return what a checkpoint should know of its data, as plain values."""
        return {"corpus": self.corpus.name, "split_name": self.split_name()}

    def skipped(self, part: Part) -> dict[str, tuple[str, ...]]:
        """Return what was found and not used, by reason."""
        bad = self._opened[part].skipped if part in self._opened else ()
        return {**self.corpus.missing, **({"unreadable audio": bad} if bad else {})}

    def setup(self, stage: str) -> None:
        """Open the features that the stage needs; without validation clips, fit skips it.

        Raises:
            DatasetError: Nothing of a part can be read.
        """
        if stage == "fit" and self.trainer is not None and not self.validates:
            self.trainer.limit_val_batches = 0  # an empty loader would be warned of
        for part in PARTS.get(stage, ("test",)):
            if part not in self._opened and self.parts[part]:
                self._open(part)

    def train_dataloader(self) -> DataLoader[LabelledBatch]:
        """Return shuffled batches; the same for the same seed and number of processes."""
        return self._loader("train", self.seed)

    def val_dataloader(self) -> DataLoader[LabelledBatch]:
        """Return the validation clips, each once.

        Raises:
            ConfigError: None are kept for validation.
        """
        if not self.validates:
            raise ConfigError(
                "No clips are kept for validation: set validation_share or validation_fold for "
                "the training, or run test."
            )
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[LabelledBatch]:
        """Return the test clips, each once."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[LabelledBatch]:
        """Refuse: nothing is ranked here."""
        raise ConfigError("predict scores queries and candidates; a classifier has none: use test.")

    def _loader(self, part: Part, order_seed: int | None = None) -> DataLoader[LabelledBatch]:
        clips = self._opened[part]
        draw = partial(row_batches, len(clips), self.batch_size, order_seed)
        return self.loader(partial(_labelled_batch, clips, self.classes), draw)

    def _open(self, part: Part) -> None:
        ids = set(self.parts[part])
        wanted = [clip for clip in self.corpus.clips if clip.id in ids]
        clips = self.open(self.front_end, wanted)
        if not len(clips):
            raise DatasetError(
                f"None of the {len(wanted)} {part} clips of {self.corpus.root} can be read: "
                "restore them (on_bad_audio: error names what is wrong with each)."
            )
        self._opened[part] = clips


def _labelled_batch(
    clips: Clips[LabelledClip], classes: Sequence[str], rows: Indices
) -> LabelledBatch:
    labels = [classes.index(clips.records[row].label) for row in rows]
    return LabelledBatch(clips.read(rows), torch.tensor(labels))


class LanguageDataModule(ClassificationDataModule):
    """VoxForge's languages, divided by speaker (paper, section V-A).

    Archives are unpacked when they are first read.

    Args:
        root: ``demo``, or a folder with one folder per language.
        languages: Names of those folders, in the order of their class indices.
        limit: The most clips per language; null takes all.
        split: ``speaker`` keeps a speaker's clips on one side; ``clip`` draws clips at random.
        test_share: The share of each language's clips that tests.
        validation_share: The share of the others that validates, by speakers again; 0 trains on
            all of them, and evaluates after the last epoch only.
        front_end: Turns clips into spectrograms; the imitation tower's if left out.
        options: As ``ClassificationDataModule``.
    """

    side = "imitation"

    def __init__(
        self,
        root: str = DEMO,
        languages: list[str] = list(LANGUAGES),  # noqa: B006 - never changed; shown in help
        limit: int | None = CLIPS_PER_LANGUAGE,
        split: Literal["speaker", "clip"] = "speaker",
        test_share: float = TEST_SHARE,
        validation_share: float = 0.0,
        front_end: FrontEnd | None = None,
        **options: Any,
    ) -> None:
        super().__init__(front_end or ImitationLogMel(), **options)
        self.root = root
        self.languages = languages
        self.limit = limit
        self.split: Literal["speaker", "clip"] = split
        self.test_share = test_share
        self.validation_share = validation_share

    @cached_property
    def corpus(self) -> LabelledCorpus:
        """The clips of each language; archives are unpacked, no audio is decoded."""
        root = root_of(self.root, "languages")
        return load_voxforge(root, self.languages, self.limit, seed=self.seed)

    @property
    def classes(self) -> tuple[str, ...]:
        """The languages."""
        return tuple(self.languages)

    @cached_property
    def parts(self) -> Mapping[Part, tuple[str, ...]]:
        """The ids of the clips of each part; no speaker stands in two of them."""
        train, test = split_languages(self.corpus, self.split, self.seed, self.test_share)
        validation: tuple[str, ...] = ()
        if self.validation_share:
            rest = set(train)
            clips = tuple(clip for clip in self.corpus.clips if clip.id in rest)
            train, validation = split_languages(
                replace(self.corpus, clips=clips), self.split, self.seed, self.validation_share
            )
        return {"train": train, "validation": validation, "test": test}

    def split_name(self) -> str:
        """Return in words how the clips are divided."""
        return f"{self.test_share:.0%} held out by {self.split}, seed {self.seed}"


class UrbanSoundDataModule(ClassificationDataModule):
    """UrbanSound8K's classes in its own ten folds (paper, section V-B).

    Args:
        root: ``demo``, or the folder that holds metadata/ and audio/.
        fold: The fold that tests, 1 to 10; the other nine train.
        validation_fold: One of those nine that validates instead; null trains on all nine, and
            evaluates after the last epoch only.
        front_end: Turns clips into spectrograms; the recording tower's if left out.
        options: As ``ClassificationDataModule``.
    """

    side = "recording"

    def __init__(
        self,
        root: str = DEMO,
        fold: int = 1,
        validation_fold: int | None = None,
        front_end: FrontEnd | None = None,
        **options: Any,
    ) -> None:
        super().__init__(front_end or RecordingLogMel(), **options)
        self.root = root
        self.fold = fold
        self.validation_fold = validation_fold

    @cached_property
    def corpus(self) -> LabelledCorpus:
        """The clips of the table; no audio is decoded."""
        root = root_of(self.root, "urban")
        return load_urbansound8k(root, self.on_bad_audio)

    @cached_property
    def parts(self) -> Mapping[Part, tuple[str, ...]]:
        """The ids of the clips of each part, by fold."""
        train, test = split_fold(self.corpus, self.fold)
        validation: tuple[str, ...] = ()
        if self.validation_fold == self.fold:
            raise ConfigError(
                f"validation_fold and fold are both {self.fold}: a fold that tests cannot "
                "validate; choose another, or null to train on all nine others."
            )
        if self.validation_fold is not None:
            validation = split_fold(self.corpus, self.validation_fold)[1]
            train = tuple(each for each in train if each not in set(validation))
        return {"train": train, "validation": validation, "test": test}

    def split_name(self) -> str:
        """Return in words how the clips are divided."""
        return f"fold {self.fold} held out"
