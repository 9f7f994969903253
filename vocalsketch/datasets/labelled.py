"""Clips of known classes, which pre-train a tower; and which of them train and which test."""

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vocalsketch.datasets.records import named
from vocalsketch.errors import ConfigError, DatasetError

TEST_SHARE = 0.3  # paper, section V-A: 70 % train, 30 % test


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A clip of a known class.

    Attributes:
        id: Unique in its corpus.
        path: Where the audio lies.
        label: Its class: a language, or a kind of sound.
        group: Whose clips stand on one side of a split: a speaker, or a fold.
    """

    id: str
    path: Path
    label: str
    group: str


@dataclass(frozen=True)
class LabelledCorpus:
    """Clips of known classes.

    Attributes:
        name: The layout's, such as ``voxforge``, or ``demo``; printed beside every result.
        root: The folder it was read from.
        classes: The classes, in the order of their indices.
        clips: The clips, sorted by id.
        skipped: What was found, or ought to be there, and is not used, by reason.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    clips: tuple[LabelledClip, ...]
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)


def split_fold(corpus: LabelledCorpus, fold: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide UrbanSound8K's clips for one round of ten-fold cross-validation.

    Returns:
        The ids of the nine folds that train and of the one that tests, in the corpus' order.

    Raises:
        ConfigError: ``fold`` is not 1 to 10.
        DatasetError: One of the sides has no clip.
    """
    if not 1 <= fold <= 10:
        raise ConfigError(f"fold is {fold}: UrbanSound8K has folds 1 to 10.")
    train, test = _sides(corpus, {clip.id for clip in corpus.clips if clip.group == str(fold)})
    if not train or not test:
        present = ", ".join(sorted({clip.group for clip in corpus.clips}, key=int))
        raise DatasetError(
            f"Fold {fold} of {corpus.root} leaves {len(train)} clips to train and {len(test)} to "
            f"test: folds with clips are {present}. Choose another fold or restore the files."
        )
    return train, test


def split_languages(
    corpus: LabelledCorpus,
    split: Literal["speaker", "clip"] = "speaker",
    seed: int = 0,
    test_share: float = TEST_SHARE,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide each language's clips into training and test clips.

    ``speaker`` keeps each speaker's clips on one side, also those of a name that occurs in several
    languages, and comes as close to ``test_share`` as speakers allow; ``clip`` draws clips at
    random, so that a voice stands on both sides.

    Returns:
        The ids that train and the ids that test, in the corpus' order. Every language has
        clips on both sides.

    Raises:
        ConfigError: ``split`` is neither, or ``test_share`` is not between 0 and 1.
        DatasetError: A language has too few speakers, or clips, to stand on both sides.
    """
    if split not in ("speaker", "clip"):
        raise ConfigError(f"split is {split!r}: choose speaker or clip.")
    if not 0 < test_share < 1:
        raise ConfigError(f"test_share is {test_share}: give a share between 0 and 1.")
    by_language: dict[str, list[LabelledClip]] = {language: [] for language in corpus.classes}
    for clip in corpus.clips:
        by_language[clip.label].append(clip)
    draw = _by_speaker if split == "speaker" else _by_clip
    return _sides(corpus, draw(by_language, seed, test_share))


def _sides(corpus: LabelledCorpus, test: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    def ids(tested: bool) -> tuple[str, ...]:
        return tuple(clip.id for clip in corpus.clips if (clip.id in test) is tested)

    return ids(False), ids(True)


def _by_clip(by_language: dict[str, list[LabelledClip]], seed: int, share: float) -> set[str]:
    test: set[str] = set()
    for language, clips in by_language.items():
        if len(clips) < 2:
            raise DatasetError(
                f"{language} has {len(clips)} clip: both sides need one. Add clips, or leave the "
                "language out (languages)."
            )
        size = min(max(round(share * len(clips)), 1), len(clips) - 1)
        drawn = random.Random(f"{seed} {language}").sample([clip.id for clip in clips], size)
        test.update(drawn)
    return test


def _by_speaker(by_language: dict[str, list[LabelledClip]], seed: int, share: float) -> set[str]:
    """Draw test speakers language by language; a name drawn once keeps its side."""
    tests: dict[str, bool] = {}
    counts = {
        language: Counter(clip.group for clip in clips) for language, clips in by_language.items()
    }
    # Languages with few speakers have the least choice, so they choose first.
    for language in sorted(counts, key=lambda language: (len(counts[language]), language)):
        speakers = counts[language]
        placed = sum(clips for speaker, clips in speakers.items() if tests.get(speaker))
        free = [(name, clips) for name, clips in speakers.items() if name not in tests]
        random.Random(f"{seed} {language}").shuffle(free)
        drawn = _closest(free, placed, speakers.total(), share)
        if drawn is None:
            raise DatasetError(
                f"{language} has {len(speakers)} speaker(s) ({named(speakers)}), too few to train "
                "and test without one on both sides: use split: clip, or add speakers."
            )
        tests |= {name: name in drawn for name, _ in free}
    return {clip.id for clips in by_language.values() for clip in clips if tests[clip.group]}


def _closest(free: list[tuple[str, int]], placed: int, total: int, share: float) -> set[str] | None:
    """Choose speakers whose clips, with those placed, come closest to the share of the total.

    A subset sum: bit n of ``reachable[i]`` says that some of the first i speakers have n clips.

    Returns:
        The names, or None where one side would stay empty.
    """
    reachable = [1]
    for _, clips in free:
        reachable.append(reachable[-1] | reachable[-1] << clips)
    sums = [n for n in range(total + 1) if reachable[-1] >> n & 1 and 0 < placed + n < total]
    if not sums:
        return None
    left = min(sums, key=lambda n: (abs(placed + n - share * total), n))
    drawn = set()
    for (name, clips), without in zip(reversed(free), reversed(reachable[:-1]), strict=True):
        if not without >> left & 1:
            drawn.add(name)
            left -= clips
    return drawn
