"""Opening whatever lies at a path."""

import os
from pathlib import Path

import pytest

from vocalsketch.datasets.open import open_corpus
from vocalsketch.errors import DatasetError


def make(root: Path, *names: str) -> Path:
    """Make empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


PAIR = ("sounds/a.wav", "sounds/b.wav", "imitations/a/1.wav")


def test_a_folder_and_a_csv_of_pairs_open(tmp_path: Path) -> None:
    make(tmp_path, *PAIR)
    table = tmp_path / "pairs.csv"
    table.write_text(
        "imitation,sound,category\nimitations/a/1.wav,sounds/a.wav,x\nsounds/b.wav,sounds/b.wav,x\n"
    )
    assert [s.id for s in open_corpus(str(tmp_path)).sounds] == ["a.wav", "b.wav"]
    assert [s.id for s in open_corpus(table).sounds] == ["sounds/a.wav", "sounds/b.wav"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "is no corpus: it holds nothing"),
        (("a.txt", "b/c.txt"), r"it holds a\.txt, b\. A corpus is 'demo'"),
        (("metadata/UrbanSound8K.csv", "audio/fold1/a.wav"), "is UrbanSound8K, which holds no"),
        (("UrbanSound8K.csv",), r"is nearly UrbanSound8K, but lacks audio/fold\*/ or fold\*/"),
        (("en/anna-20100101-abc/etc/PROMPTS",), "is VoxForge, which holds no"),
        (("en/anna-20100101-abc.tgz",), "is VoxForge, which holds no"),
        (("doc/package/etc/a.conf",), r"no corpus: it holds doc\. A"),
        (("URBANSOUND8K.csv", "Fold1/a.wav"), "is UrbanSound8K, which holds no"),
        (("a/b/vim/References/1_x.WAV", "a/b/vim/vocal_imitations/2_x.wav"), "b/vim is VimSketch:"),
        (("us/UrbanSound8K.csv", "us/fold1/a.wav"), "us is UrbanSound8K, which holds no vocal"),
        (("kick.M4A", "x/snare.wav"), "To imitate its sounds: `vocalsketch data imitate`"),
        (("release/vocal_imitations.csv",), "release is nearly VocalSketch, but lacks sound_rec"),
        (("mine/sounds/a.wav", "mine/imitations/a/1.wav"), "mine is a folder of one's own: give"),
        (("sounds/a.wav",), "nearly a folder of one's own, but lacks imitations/.*lies so: ROOT"),
        (("sounds/x/a.wav", "sounds/y/b.wav", "imitations/a/1.wav"), "'x', 'y' .* has one sound"),
        (("sounds/a.wav", "imitations/a/1.wav"), "Category 'sounds' .* needs at least two"),
    ],
)
def test_what_is_no_corpus_is_described(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_corpus(make(tmp_path, *names))


def test_a_path_that_does_not_exist_or_is_another_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere does not exist\. A corpus is 'demo'"):
        open_corpus(tmp_path / "nowhere")
    make(tmp_path, "a.zip", "a.bin", "set/DEV Dataset.csv", "notes.csv")
    for name, message in (
        ("a.zip", "is packed: unpack it and give the folder"),
        ("a.bin", "is a file of another kind"),
        ("set/DEV Dataset.csv", "is a table of QVIM-dev: give the data set's folder"),
        ("notes.csv", "lacks the columns imitation, sound, category: it is no table of one's own"),
    ):
        with pytest.raises(DatasetError, match=message):
            open_corpus(tmp_path / name)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            "vimsketch",
            "nearly VimSketch, but lacks references/, vocal_imitations/.*ROOT/references/<file>",
        ),
        ("kaggle-urbansound8k", "is UrbanSound8K, which holds no vocal imitations"),
        (
            "vocalsketch-1.1-second-set",
            "nearly VocalSketch, but lacks vocal_imitations/included/",
        ),
    ],
)
def test_mirrored_and_unfinished_trees_get_the_right_advice(
    shared: Path, case: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_corpus(shared / "cases" / case)


def test_a_table_of_ones_own_is_found_in_its_folder(shared: Path) -> None:
    with pytest.raises(DatasetError, match=r"case\.csv is a table of one's own: give that"):
        open_corpus(shared / "cases/csv-tables")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pairs.csv")
    with pytest.raises(DatasetError, match=r"pairs\.csv is a file of another kind, or none"):
        open_corpus(tmp_path / "pairs.csv")
