"""Reading UrbanSound8K's table and folds."""

from collections import Counter
from pathlib import Path

import pytest

from vocalsketch.datasets.labelled import load_urbansound8k, split_fold
from vocalsketch.errors import ConfigError, DatasetError

HEADER = "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
ROWS = (
    "300-3-0-0.wav,300,0.0,4.0,1,2,3,dog_bark\n"
    "100-1-0-0.wav,100,0.0,4.0,1,1,1,car_horn\n"
    "200-3-0-0.wav,200,0.0,2.5,2,10,3,dog_bark\n"
)


def write(root: Path, table: str, files: dict[str, bytes] | None = None) -> Path:
    default = {
        "fold2/300-3-0-0.wav": b"x",
        "fold1/100-1-0-0.wav": b"x",
        "fold10/200-3-0-0.wav": b"x",
    }
    for name, content in (default if files is None else files).items():
        (root / "audio" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "audio" / name).write_bytes(content)
    (root / "metadata").mkdir()
    (root / "metadata" / "UrbanSound8K.csv").write_text(table)
    return root


def test_clips_come_sorted_with_fold_and_class(tmp_path: Path) -> None:
    corpus = load_urbansound8k(write(tmp_path, HEADER + ROWS))
    assert [(clip.id, clip.group, clip.label) for clip in corpus.clips] == [
        ("100-1-0-0.wav", "1", "car_horn"),
        ("200-3-0-0.wav", "10", "dog_bark"),
        ("300-3-0-0.wav", "2", "dog_bark"),
    ]
    assert corpus.clips[1].path == tmp_path / "audio" / "fold10" / "200-3-0-0.wav"
    assert corpus.classes == ("car_horn", "dog_bark")
    assert (corpus.name, corpus.missing) == ("urbansound8k", {})


def test_a_synthesised_stand_in_is_called_demo(tmp_path: Path) -> None:
    (tmp_path / "DEMO").touch()
    assert load_urbansound8k(write(tmp_path, HEADER + ROWS)).name == "demo"


def test_a_fold_tests_and_the_others_train(tmp_path: Path) -> None:
    corpus = load_urbansound8k(write(tmp_path, HEADER + ROWS))
    assert split_fold(corpus, 10) == (("100-1-0-0.wav", "300-3-0-0.wav"), ("200-3-0-0.wav",))


@pytest.mark.parametrize("fold", [0, 11, -1])
def test_a_fold_out_of_range_is_refused(tmp_path: Path, fold: int) -> None:
    corpus = load_urbansound8k(write(tmp_path, HEADER + ROWS))
    with pytest.raises(ConfigError, match=f"fold is {fold}: UrbanSound8K has folds 1 to 10"):
        split_fold(corpus, fold)


def test_a_fold_without_clips_is_refused_with_those_that_have_some(tmp_path: Path) -> None:
    corpus = load_urbansound8k(write(tmp_path, HEADER + ROWS))
    with pytest.raises(DatasetError, match=r"folds with clips are 1, 2, 10\."):
        split_fold(corpus, 3)


def test_missing_and_empty_files_are_all_named_at_once_or_skipped(tmp_path: Path) -> None:
    write(tmp_path, HEADER + ROWS, {"fold2/300-3-0-0.wav": b"", "fold1/100-1-0-0.wav": b"x"})
    with pytest.raises(DatasetError, match=r"lacks 2 of the 3 files") as raised:
        load_urbansound8k(tmp_path)
    assert "file is missing: fold10/200-3-0-0.wav" in str(raised.value)
    assert "zero-byte file: fold2/300-3-0-0.wav" in str(raised.value)
    corpus = load_urbansound8k(tmp_path, on_bad_audio="skip")
    assert [clip.id for clip in corpus.clips] == ["100-1-0-0.wav"]
    assert corpus.missing == {
        "file is missing": ("fold10/200-3-0-0.wav",),
        "zero-byte file": ("fold2/300-3-0-0.wav",),
    }


def test_nothing_left_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="lacks 3 of the 3 files"):
        load_urbansound8k(write(tmp_path, HEADER + ROWS, {}), on_bad_audio="skip")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("slice_file_name,classID,class\n", "no column 'fold'"),
        (HEADER, "lacks 0 of the 0 files"),
        (HEADER + ROWS.replace("1,2,3,dog", "1,11,3,dog"), "line 2: fold is '11'"),
        (HEADER + ROWS.replace("1,2,3,dog", "1,two,3,dog"), "line 2: fold is 'two'"),
        (HEADER + ROWS.replace("1,2,3,dog", "1,2,-3,dog"), "line 2: fold is .* classID '-3'"),
        (HEADER + ROWS.replace("300-3-0-0.wav", "../300.wav"), r"fold2/\.\./300.wav"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_urbansound8k(write(tmp_path, table))


def test_another_folder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"does not hold .*data download urbansound8k"):
        load_urbansound8k(tmp_path)


def test_real_sounds_in_the_layout_of_urbansound8k(shared: Path) -> None:
    corpus = load_urbansound8k(shared / "data" / "urbansound8k")
    assert len(corpus.clips) == 160
    assert Counter(clip.label for clip in corpus.clips) == dict.fromkeys(corpus.classes, 16)
    assert len(corpus.classes) == 10
    folds = [19, 12, 14, 18, 17, 17, 16, 12, 19, 16]
    assert [len(split_fold(corpus, fold)[1]) for fold in range(1, 11)] == folds
    sources: dict[str, set[str]] = {str(fold): set() for fold in range(1, 11)}
    for clip in corpus.clips:
        sources[clip.group].add(clip.id.partition("-")[0])
    assert sum(map(len, sources.values())) == len(set().union(*sources.values()))
