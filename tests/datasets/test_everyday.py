"""Renaming the everyday originals into a VocalSketch tree."""

from pathlib import Path

import pytest

from vocalsketch.datasets.vocalsketch import import_everyday
from vocalsketch.errors import DatasetError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A VocalSketch tree without everyday recordings, its table with line ends of an old Mac."""
    root = tmp_path / "root"
    (root / "sound_recordings").mkdir(parents=True)
    rows = ["marcel_filename,vocalsketch_filename", "COW.WAV,cow_mooing.wav", "Cat.wav,cat.wav"]
    (root / "everyday_filename_translation.csv").write_bytes("\r".join(rows).encode())
    return root


def test_originals_are_copied_by_the_table_without_regard_to_case(
    tmp_path: Path, root: Path
) -> None:
    (tmp_path / "originals/deep").mkdir(parents=True)
    (tmp_path / "originals/deep/cow.wav").write_bytes(b"moo")
    (tmp_path / "originals/other.wav").write_bytes(b"?")
    done = import_everyday(tmp_path / "originals", root)
    assert (done.copied, done.present, done.not_found) == (["cow_mooing.wav"], [], ["Cat.wav"])
    assert (root / "sound_recordings/cow_mooing.wav").read_bytes() == b"moo"
    assert [path.name for path in (root / "sound_recordings").iterdir()] == ["cow_mooing.wav"]


def test_nothing_is_overwritten(tmp_path: Path, root: Path) -> None:
    (root / "sound_recordings/cow_mooing.wav").write_bytes(b"mine")
    (tmp_path / "originals").mkdir()
    for name in ("COW.WAV", "Cat.wav"):
        (tmp_path / "originals" / name).write_bytes(b"theirs")
    done = import_everyday(tmp_path / "originals", root)
    assert (done.copied, done.present, done.not_found) == (["cat.wav"], ["cow_mooing.wav"], [])
    assert (root / "sound_recordings/cow_mooing.wav").read_bytes() == b"mine"
    again = import_everyday(tmp_path / "originals", root)
    assert (again.copied, len(again.present)) == ([], 2)


def test_what_cannot_be_imported_is_named(tmp_path: Path, root: Path) -> None:
    originals = tmp_path / "originals"
    with pytest.raises(DatasetError, match="originals is not a folder"):
        import_everyday(originals, root)
    originals.mkdir()
    with pytest.raises(DatasetError, match=r"holds none of the 2 files .* such as COW\.WAV"):
        import_everyday(originals, root)
    with pytest.raises(DatasetError, match=r"everyday_filename_translation\.csv does not exist"):
        import_everyday(originals, tmp_path)


def test_a_table_cannot_lead_out_of_the_tree(tmp_path: Path, root: Path) -> None:
    table = root / "everyday_filename_translation.csv"
    table.write_text("marcel_filename,vocalsketch_filename\nCOW.WAV,../cow.wav\n")
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "cow.wav").write_bytes(b"moo")
    assert import_everyday(tmp_path / "from", root).copied == ["cow.wav"]
    assert (root / "sound_recordings" / "cow.wav").read_bytes() == b"moo"
    assert not (root / "cow.wav").exists()
