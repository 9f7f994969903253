"""Opening whatever lies at a path."""

from pathlib import Path

import pytest

from vocalsketch.datasets.open import layout_of, open_corpus
from vocalsketch.errors import ConfigError, DatasetError


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
        (("metadata/UrbanSound8K.csv",), "looks like UrbanSound8K"),
        (("en/anna-20100101-abc/etc/PROMPTS",), "looks like VoxForge"),
        (("en/anna-20100101-abc.tgz",), "looks like VoxForge"),
        (("release/vocal_imitations.csv",), "release looks like one: give that"),
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
    make(tmp_path, "a.zip")
    with pytest.raises(DatasetError, match=r"a\.zip is a file of another kind"):
        open_corpus(tmp_path / "a.zip")


def test_a_misspelt_way_to_treat_bad_audio(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="on_bad_audio is 'ignore': choose error or skip"):
        open_corpus(make(tmp_path, *PAIR), on_bad_audio="ignore")  # type: ignore[arg-type]


def test_layouts_of_real_material(shared: Path) -> None:
    layouts = {name: layout_of(shared / "data" / name) for name in ("vocalsketch", "voxforge")}
    assert layouts == {"vocalsketch": "vocalsketch", "voxforge": "voxforge"}
    assert layout_of(shared / "data/urbansound8k") == "urbansound8k"
