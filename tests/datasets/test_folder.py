"""Reading one's own sounds and imitations, from folders or from a CSV file."""

from pathlib import Path

import pytest

from vocalsketch.datasets.imitation_sets import load_csv, load_folder
from vocalsketch.datasets.records import FILE_GONE
from vocalsketch.errors import DatasetError


def make(root: Path, *names: str) -> Path:
    """Make empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_folders_pair_imitations_with_the_sound_of_that_stem(tmp_path: Path) -> None:
    root = make(
        tmp_path,
        *("sounds/dog.wav", "sounds/door.2.FLAC", "sounds/notes.txt", "sounds/._dog.wav"),
        *("imitations/dog/b.mp3", "imitations/dog/a.ogg", "imitations/door.2/a.aiff"),
        *("imitations/dog/.DS_Store", "imitations/.hidden/a.wav"),
    )
    corpus = load_folder(root)
    assert corpus.name == "folder"
    assert [(s.id, s.category, s.label) for s in corpus.sounds] == [
        ("dog.wav", "sounds", "dog"),
        ("door.2.FLAC", "sounds", "door.2"),
    ]
    assert [(i.id, i.sound_id) for i in corpus.imitations] == [
        ("dog/a.ogg", "dog.wav"),
        ("dog/b.mp3", "dog.wav"),
        ("door.2/a.aiff", "door.2.FLAC"),
    ]
    assert corpus.imitations[0].path == root / "imitations/dog/a.ogg"


def test_folders_within_sounds_are_categories(tmp_path: Path) -> None:
    root = make(tmp_path, "sounds/beasts/dog.wav", "sounds/bell.wav", "imitations/dog/1.aif")
    corpus = load_folder(root)
    assert {s.id: s.category for s in corpus.sounds} == {"dog.wav": "beasts", "bell.wav": "sounds"}
    assert corpus.categories == ("beasts", "sounds")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("sounds/a.wav", "sounds/a.flac"), r"imitations/a could mean any of a\.flac, a\.wav"),
        (("sounds/x/a.wav", "sounds/y/a.wav"), r"any of x/a\.wav, y/a\.wav"),
        (("sounds/a.wav", "imitations/b/1.wav", "imitations/c/1.wav"), "no sound: b, c"),
        (("sounds/a.wav", "imitations/1.wav"), r"matches no sound: 1\.wav"),
        (("sounds/a.wav", "imitations/a/deep/1.wav"), "matches no sound: a"),
        (("sounds/a.wav", "imitations/a/1.txt"), "holds no imitation: put audio"),
        (("sounds/x/y/a.wav", "imitations/a/1.wav"), "lie too deep: x/y/a.wav"),
    ],
)
def test_unclear_folders_are_named(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_folder(make(tmp_path, *names))


def write_csv(root: Path, *rows: str, header: str = "imitation,sound,category") -> Path:
    table = root / "pairs.csv"
    table.write_text("\n".join([header, *rows]))
    return table


def test_csv_paths_are_relative_to_the_table(tmp_path: Path) -> None:
    make(tmp_path, "q/1.wav", "q/2.wav", "lib/dog.wav", "lib/cat.wav")
    table = write_csv(tmp_path, "q/2.wav,lib/dog.wav,beasts", "./q/1.wav,q/../lib/dog.wav,beasts")
    corpus = load_csv(table)
    assert [(i.id, i.sound_id) for i in corpus.imitations] == [
        ("q/1.wav", "lib/dog.wav"),
        ("q/2.wav", "lib/dog.wav"),
    ]
    assert [(s.id, s.category, s.label, s.path) for s in corpus.sounds] == [
        ("lib/dog.wav", "beasts", "dog", tmp_path / "lib/dog.wav")
    ]


def test_files_that_the_csv_names_and_the_disk_lacks(tmp_path: Path) -> None:
    make(tmp_path, "1.wav", "3.wav", "dog.wav")
    table = write_csv(tmp_path, "1.wav,dog.wav,a", "2.wav,dog.wav,a", "3.wav,cat.wav,a")
    with pytest.raises(DatasetError, match=r"tables name: 2\.wav, cat\.wav\. Restore"):
        load_csv(table)
    corpus = load_csv(table, on_bad_audio="skip")
    assert [i.id for i in corpus.imitations] == ["1.wav"]
    assert corpus.missing == {FILE_GONE: ("2.wav", "cat.wav")}


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["1.wav,dog.wav"], "imitation,sound", "no column 'category'; it has 'imitation', 'sound'"),
        (["1.wav,dog.wav,a", "./1.wav,cat.wav,a"], None, r"twice in pairs.csv \(line 3\): 1.wav"),
        (["1.wav,dog.wav,a", "2.wav,dog.wav,b"], None, "puts 'dog.wav' into 'b', an earlier .*'a'"),
        (["1.wav,,a"], None, "line 2: sound is empty"),
        (["1.wav,dog.wav"], None, "line 2 ends before its column 'category'"),
        ([], None, "No sound recording was found"),
    ],
)
def test_unclear_tables_are_named(
    tmp_path: Path, rows: list[str], header: str | None, message: str
) -> None:
    make(tmp_path, "1.wav", "2.wav", "dog.wav", "cat.wav")
    table = write_csv(tmp_path, *rows, header=header or "imitation,sound,category")
    with pytest.raises(DatasetError, match=message):
        load_csv(table)
