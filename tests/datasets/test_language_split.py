"""Dividing speech into training and test clips."""

from collections import Counter
from itertools import chain, combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.datasets.labelled import (
    LabelledClip,
    LabelledCorpus,
    load_voxforge,
    split_languages,
)
from vocalsketch.errors import ConfigError, DatasetError


def corpus_of(counts: dict[str, dict[str, int]]) -> LabelledCorpus:
    """Make a corpus of (language -> speaker -> number of clips)."""
    clips = [
        LabelledClip(f"{language}/{speaker}-1/{number:04}.wav", Path("x"), language, speaker)
        for language, speakers in counts.items()
        for speaker, clips in speakers.items()
        for number in range(clips)
    ]
    ordered = tuple(sorted(clips, key=lambda clip: clip.id))
    return LabelledCorpus("voxforge", Path("root"), tuple(counts), ordered)


def speakers_of(corpus: LabelledCorpus, ids: tuple[str, ...]) -> set[str]:
    wanted = set(ids)
    return {clip.group for clip in corpus.clips if clip.id in wanted}


@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=8),
    st.integers(0, 5),
    st.floats(0.05, 0.95),
)
def test_a_speaker_split_is_disjoint_complete_and_as_close_as_any(
    counts: list[int], seed: int, share: float
) -> None:
    corpus = corpus_of({"nl": {f"speaker{place}": count for place, count in enumerate(counts)}})
    train, test = split_languages(corpus, "speaker", seed, share)
    assert sorted(train + test) == [clip.id for clip in corpus.clips]
    assert not speakers_of(corpus, train) & speakers_of(corpus, test)
    sizes = range(1, len(counts))
    every = chain.from_iterable(combinations(counts, size) for size in sizes)
    best = min(abs(sum(chosen) - share * sum(counts)) for chosen in every)
    assert abs(len(test) - share * sum(counts)) == pytest.approx(best)


def test_speakers_of_equal_size_are_drawn_by_the_seed() -> None:
    corpus = corpus_of({"en": {f"speaker{place:02}": 5 for place in range(20)}})
    tests = [speakers_of(corpus, split_languages(corpus, seed=seed)[1]) for seed in range(8)]
    assert {len(test) for test in tests} == {6}
    assert len({frozenset(test) for test in tests}) == 8
    assert split_languages(corpus, seed=3) == split_languages(corpus, seed=3)


def test_a_name_in_two_languages_stands_on_one_side_in_both() -> None:
    counts = {"de": {"ralf": 5, "eva": 5, "udo": 5}, "en": {"ralf": 5, "ada": 5, "bob": 5}}
    corpus = corpus_of(counts)
    for seed in range(10):
        train, test = split_languages(corpus, seed=seed)
        assert not speakers_of(corpus, train) & speakers_of(corpus, test)
        languages = Counter(clip_id.partition("/")[0] for clip_id in test)
        assert languages == {"de": 5, "en": 5}


def test_a_clip_split_takes_its_share_of_each_language() -> None:
    corpus = corpus_of({"de": {"eva": 10}, "en": {"ada": 13, "bob": 7}})
    train, test = split_languages(corpus, "clip")
    assert Counter(clip_id.partition("/")[0] for clip_id in test) == {"de": 3, "en": 6}
    assert sorted(train + test) == [clip.id for clip in corpus.clips]
    assert split_languages(corpus, "clip", seed=1)[1] != test


@pytest.mark.parametrize(
    ("counts", "split", "message"),
    [
        ({"de": {"eva": 10}}, "speaker", r"de has 1 speaker\(s\) \(eva\).*split: clip"),
        ({"de": {"eva": 1}}, "clip", r"de has 1 clip\(s\)"),
    ],
)
def test_a_language_that_cannot_be_divided_is_named(
    counts: dict[str, dict[str, int]], split: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        split_languages(corpus_of(counts), split)  # type: ignore[arg-type]  # from a table


@pytest.mark.parametrize(
    ("split", "share", "message"),
    [("person", 0.3, "'person': choose speaker or clip"), ("clip", 1.0, "test_share is 1.0")],
)
def test_settings_that_make_no_sense_are_refused(split: str, share: float, message: str) -> None:
    corpus = corpus_of({"de": {"eva": 2, "udo": 2}})
    with pytest.raises(ConfigError, match=message):
        split_languages(corpus, split, test_share=share)  # type: ignore[arg-type]  # wrong on purpose


def test_real_speech_divides_by_speaker_in_each_language(shared: Path) -> None:
    corpus = load_voxforge(shared / "data" / "voxforge")
    train, test = split_languages(corpus)
    assert not speakers_of(corpus, train) & speakers_of(corpus, test)
    shares = Counter(clip_id.partition("/")[0] for clip_id in test)
    assert set(shares) == set(corpus.classes)
    assert all(15 <= clips <= 22 for clips in shares.values())  # of 60; three or four speakers
