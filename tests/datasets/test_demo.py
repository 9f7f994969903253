"""The demo corpus on disk: its layout, its seed, and how it is made once."""

import csv
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scipy.io import wavfile

from vocalsketch.datasets.records import DEMO_MARKER
from vocalsketch.datasets.synthetic import corpora, made_once, sounds
from vocalsketch.errors import StorageError
from vocalsketch.files import cache_folder

CHOSEN = corpora.items()[75:77]  # two short sounds: the files of the whole differ in number alone


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    corpora.write_corpus(root, CHOSEN)
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_catalogue_has_four_categories_of_24_sounds_sorted_by_file_name() -> None:
    assert {name: len(recipes) for name, recipes in sounds.CATALOGUE.items()} == {
        "acoustic instruments": 24,
        "commercial synthesizers": 24,
        "everyday": 24,
        "single synthesizer": 24,
    }
    assert all(list(recipes) == sorted(recipes) for recipes in sounds.CATALOGUE.values())


def test_every_id_is_used_once() -> None:
    ids = [number for item in corpora.items() for number in item.imitation_ids]

    assert len(set(ids)) == len(ids) == 96 * 10


def test_tables_name_exactly_the_files_on_disk(corpus: Path) -> None:
    recordings = {row["filename"] for row in rows(corpus / "sound_recordings.csv")}
    imitations = {row["filename"] for row in rows(corpus / "vocal_imitations.csv")}

    assert recordings == {path.name for path in (corpus / "sound_recordings").iterdir()}
    assert imitations == {path.name for path in (corpus / "vocal_imitations/included").iterdir()}
    assert len(recordings) == 2
    assert len(imitations) == 20


def test_each_imitation_is_by_another_person_and_linked_by_file_name(corpus: Path) -> None:
    table = rows(corpus / "vocal_imitations.csv")
    for item in CHOSEN:
        own = [row for row in table if row["sound_recording"] == f"{item.name}.wav"]
        assert len({row["participant_id"] for row in own}) == len(own) == 10
        assert all(row["filename"] == f"{item.label} - {row['id']}.wav" for row in own)
        assert all(row["stimulus_type"] == "sound recording" for row in own)
        assert {(row["included"], row["draft"], row["training"]) for row in own} == {
            ("True", "False", "False")
        }


def test_everyday_is_spelt_as_in_the_real_tables(tmp_path: Path) -> None:
    everyday = next(item for item in corpora.items() if item.category == "everyday")

    corpora.write_corpus(tmp_path, [everyday])

    assert rows(tmp_path / "sound_recordings.csv")[0]["audio_concept_subset"] == "everyday sounds"


def test_rates_and_levels(corpus: Path) -> None:
    for folder, expected in (("sound_recordings", 44_100), ("vocal_imitations/included", 16_000)):
        for path in (corpus / folder).iterdir():
            rate, samples = wavfile.read(path)
            assert rate == expected
            assert samples.ndim == 1
            assert samples.dtype.name == "int16"
            assert 0.1 * 32_768 < abs(samples.astype(int)).max() < 32_767
            assert 0.5 <= len(samples) / rate <= 4.6


def test_same_bytes_again(corpus: Path, tmp_path: Path) -> None:
    corpora.write_corpus(tmp_path, CHOSEN)

    assert digests(tmp_path) == digests(corpus)


def test_a_sound_does_not_depend_on_what_else_is_made(corpus: Path, tmp_path: Path) -> None:
    corpora.write_corpus(tmp_path, CHOSEN[1:])

    alone, together = digests(tmp_path), digests(corpus)
    assert all(alone[name] == together[name] for name in alone if name.endswith(".wav"))


def test_marker_says_that_it_is_synthetic(corpus: Path) -> None:
    assert "synthesised" in (corpus / "DEMO").read_text(encoding="utf-8")


def fill(folder: Path) -> None:
    (folder / "data").write_text("whole", encoding="utf-8")
    (folder / DEMO_MARKER).write_text("synthetic", encoding="utf-8")


def test_made_once_makes_once() -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        fill(folder)

    first = made_once("thing-1", make)
    second = made_once("thing-1", make)

    assert first == second
    assert len(made) == 1
    assert (first / "data").read_text(encoding="utf-8") == "whole"


def test_made_once_leaves_nothing_of_a_failure() -> None:
    def make(folder: Path) -> None:
        (folder / "data").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_once("thing-1", make)

    assert [path.name for path in (cache_folder() / "demo").iterdir()] == [".thing-1.lock"]


def test_made_once_replaces_a_folder_without_marker() -> None:
    broken = cache_folder() / "demo" / "thing-1"
    broken.mkdir(parents=True)
    (broken / "data").write_text("half", encoding="utf-8")

    made_once("thing-1", fill)

    assert (broken / "data").read_text(encoding="utf-8") == "whole"


def test_of_several_who_ask_at_once_one_makes_the_folder() -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        time.sleep(0.05)
        fill(folder)

    with ThreadPoolExecutor(4) as askers:
        results = set(askers.map(lambda _: made_once("thing-1", make), range(4)))

    assert len(made) == 1
    (result,) = results
    assert sorted(path.name for path in result.iterdir()) == ["DEMO", "data"]
    assert {path.name for path in result.parent.iterdir()} == {"thing-1", ".thing-1.lock"}


def test_what_a_killed_maker_left_is_removed() -> None:
    left = cache_folder() / "demo" / ".thing-1.killed" / "data"
    left.parent.mkdir(parents=True)
    left.write_text("half", encoding="utf-8")
    assert (made_once("thing-1", fill) / "data").read_text(encoding="utf-8") == "whole"
    assert not left.parent.exists()


def test_unwritable_cache_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("VOCALSKETCH_CACHE", str(tmp_path / "file"))

    with pytest.raises(StorageError, match=r"file.*set VOCALSKETCH_CACHE"):
        made_once("thing-1", fill)
