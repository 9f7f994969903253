"""The stand-ins for languages and city sounds: their layouts and their seed."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from vocalsketch.datasets.synthetic import corpora, sounds


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("speech")
    corpora.write_languages(root, [("de", 0), ("ru", 1)])
    return root


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("city")
    corpora.write_urban(root, [("gun_shot", 0), ("siren", 1)])
    return root


def metadata(root: Path) -> list[dict[str, str]]:
    with (root / "metadata" / "UrbanSound8K.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_languages_have_the_layout_of_voxforge(speech: Path) -> None:
    assert {path.name for path in speech.iterdir()} == {"de", "ru", "DEMO"}
    for submission in speech.glob("*/*"):
        assert re.fullmatch(r"[a-z]+\d+-\d{8}-[a-z]{3}", submission.name)
        assert len(list((submission / "wav").iterdir())) == corpora.CLIPS


def test_language_clips_last_two_to_four_seconds_at_16_khz(speech: Path) -> None:
    clips = [wavfile.read(path) for path in speech.rglob("*.wav")]

    assert len(clips) == 2 * 4
    assert all(rate == 16_000 and 2.0 <= len(clip) / rate <= 4.0 for rate, clip in clips)


def test_seven_languages_of_24_clips_by_at_least_four_speakers() -> None:
    assert sorted(corpora.LANGUAGES) == ["de", "en", "es", "fr", "it", "nl", "ru"]
    assert corpora.SPEAKERS * corpora.CLIPS == 24
    assert corpora.SPEAKERS >= 4


def test_speech_is_the_same_again(speech: Path, tmp_path: Path) -> None:
    corpora.write_languages(tmp_path, [("de", 0)])

    again = sorted(tmp_path.rglob("*.wav"))
    before = sorted((speech / "de").rglob("*.wav"))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in before]


def test_rhythms_differ() -> None:
    def seconds_per_word(name: str) -> float:
        rng = np.random.default_rng(0)
        language = corpora.LANGUAGES[name]
        return corpora.word(language, rng).shape[1] / len(language.melody)

    assert seconds_per_word("en") > 1.5 * seconds_per_word("es")


def test_city_sounds_have_the_layout_of_urbansound8k(city: Path) -> None:
    table = metadata(city)

    assert list(table[0]) == [
        *("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
    ]
    assert len(table) == 4
    for row in table:
        path = city / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
        rate, samples = wavfile.read(path)
        assert row["slice_file_name"].startswith(f"{row['fsID']}-{row['classID']}-")
        assert len(samples) / rate == pytest.approx(float(row["end"]) - float(row["start"]), 0.01)


def test_classes_are_numbered_as_in_urbansound8k(city: Path) -> None:
    assert list(sounds.SCENES) == [
        *("air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling"),
        *("engine_idling", "gun_shot", "jackhammer", "siren", "street_music"),
    ]
    assert {(row["class"], row["classID"]) for row in metadata(city)} == {
        ("gun_shot", "6"),
        ("siren", "8"),
    }


def test_clips_of_one_recording_share_a_fold(city: Path) -> None:
    assert len({(row["fsID"], row["fold"]) for row in metadata(city)}) == 2


def test_folds_are_even() -> None:
    folds = Counter(
        corpora.fold(class_id, source)
        for class_id in range(10)
        for source in range(corpora.SOURCES)
    )

    assert folds == dict.fromkeys(range(1, 11), corpora.SOURCES)


@pytest.mark.parametrize("name", sounds.SCENES)
def test_every_scene_lasts_as_long_as_asked(name: str) -> None:
    scene = sounds.made(sounds.SCENES[name], np.random.default_rng(0), seconds=0.7)

    assert len(scene) == round(0.7 * 44_100)
    assert np.isfinite(scene).all()
    assert scene.std() > 0.0
