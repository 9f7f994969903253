"""What the towers are pre-trained on: spoken sentences by language, and urban sounds by class."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from vocalsketch.datamodules.batches import Part
from vocalsketch.datamodules.classification import ClassificationDataModule
from vocalsketch.datasets.labelled import (
    TEST_SHARE,
    LabelledCorpus,
    load_urbansound8k,
    split_fold,
    split_languages,
)
from vocalsketch.datasets.open import DEMO, root_of
from vocalsketch.datasets.voxforge import CLIPS_PER_LANGUAGE, LANGUAGES, load_voxforge
from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.log_mel import ImitationLogMel, RecordingLogMel


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
        return load_urbansound8k(root, self.reading.on_bad_audio)

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
