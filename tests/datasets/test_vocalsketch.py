"""Reading trees of VocalSketch v1.0.4 and v1.1."""

import csv
import dataclasses
from pathlib import Path

import pytest

from vocalsketch.datasets.records import FILE_GONE, NOT_DISTRIBUTED
from vocalsketch.datasets.vocalsketch import load_vocalsketch
from vocalsketch.errors import DatasetError

SOUND_COLUMNS = ("id", "filename", "sound_label", "sound_label_id", "audio_concept_subset")
IMITATION_COLUMNS = (
    "id",
    "filename",
    "stimulus_type",
    "included",
    "draft",
    "training",
    "sound_label",
    "sound_recording",
    "audio_concept_subset",
)
SOUNDS = [
    ("guitar.wav", "guitar", "acoustic instruments"),
    ("tuba.wav", "tuba", "acoustic instruments"),
    ("guitar_playing.wav", "guitar", "everyday sounds"),
    ("cow_mooing.wav", "cow", "everyday sounds"),
]
IMITATIONS = [
    ("guitar - 2.wav", "guitar.wav"),
    ("guitar - 1.wav", "guitar.wav"),
    ("guitar - 3.wav", "guitar_playing.wav"),
    ("tuba - 4.wav", "tuba.wav"),
    ("cow - 5.wav", "cow_mooing.wav"),
]


@dataclasses.dataclass
class Tree:
    """A tree to be written: its tables and which files lie beside them."""

    root: Path
    sounds: list[tuple[str, str, str]] = dataclasses.field(default_factory=lambda: list(SOUNDS))
    imitations: list[tuple[str, str]] = dataclasses.field(default_factory=lambda: list(IMITATIONS))
    extra_rows: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    included: str = "vocal_imitations/included"
    true: str = "True"
    absent: tuple[str, ...] = ()

    def write(self) -> Path:
        self._files("sound_recordings", [name for name, _, _ in self.sounds])
        self._files(self.included, [name for name, _ in self.imitations])
        self._table(
            "sound_recordings.csv",
            SOUND_COLUMNS,
            [("1", name, label, "2", subset) for name, label, subset in self.sounds],
        )
        self._table("vocal_imitations.csv", IMITATION_COLUMNS, self._rows() + self.extra_rows)
        return self.root

    def _rows(self) -> list[tuple[str, ...]]:
        false = {"True": "False", "TRUE": "FALSE"}[self.true]
        return [
            ("1", name, "sound recording", self.true, false, false, "label", sound, "any")
            for name, sound in self.imitations
        ]

    def _files(self, folder: str, names: list[str]) -> None:
        (self.root / folder).mkdir(parents=True)
        for name in names:
            if name not in self.absent:
                (self.root / folder / name).touch()

    def _table(self, name: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        with (self.root / name).open("w", newline="", encoding="utf-8") as table:
            csv.writer(table).writerows([columns, *rows])


def links(root: Path, **options: object) -> dict[str, str]:
    """Return imitation id -> target id."""
    return {i.id: i.sound_id for i in load_vocalsketch(root, **options).imitations}  # type: ignore[arg-type]


def test_links_imitations_by_file_name_not_by_label(tmp_path: Path) -> None:
    corpus = load_vocalsketch(Tree(tmp_path).write())
    assert {i.id: i.sound_id for i in corpus.imitations} == dict(IMITATIONS)
    assert {s.id: s.label for s in corpus.sounds if s.label == "guitar"} == {
        "guitar.wav": "guitar",
        "guitar_playing.wav": "guitar",
    }
    assert corpus.missing == {}
    assert all(record.path.is_file() for record in (*corpus.sounds, *corpus.imitations))


def test_records_are_sorted_by_category_then_id(tmp_path: Path) -> None:
    corpus = load_vocalsketch(Tree(tmp_path).write())
    assert [sound.id for sound in corpus.sounds] == [
        "guitar.wav",
        "tuba.wav",
        "cow_mooing.wav",
        "guitar_playing.wav",
    ]
    assert [imitation.id for imitation in corpus.imitations] == [
        "guitar - 1.wav",
        "guitar - 2.wav",
        "tuba - 4.wav",
        "cow - 5.wav",
        "guitar - 3.wav",
    ]


@pytest.mark.parametrize("subset", ["everyday", "everyday sounds", "Everyday sounds"])
def test_both_spellings_of_the_everyday_subset_are_one_category(
    tmp_path: Path, subset: str
) -> None:
    tree = Tree(tmp_path)
    tree.sounds[3] = ("cow_mooing.wav", "cow", subset)
    assert load_vocalsketch(tree.write()).categories == ("acoustic instruments", "everyday")


@pytest.mark.parametrize("included", ["vocal_imitations/included", "included_vocal_imitations"])
@pytest.mark.parametrize("true", ["True", "TRUE"])
def test_both_folder_layouts_and_boolean_spellings(
    tmp_path: Path, included: str, true: str
) -> None:
    assert links(Tree(tmp_path, included=included, true=true).write()) == dict(IMITATIONS)


@pytest.mark.parametrize(
    ("stimulus", "included", "draft", "training"),
    [
        ("sound label", "True", "False", "False"),
        ("sound recording", "False", "False", "False"),
        ("sound recording", "TRUE", "TRUE", "FALSE"),
        ("sound recording", "True", "False", "True"),
        ("sound recording", "", "False", "False"),
    ],
)
def test_other_rows_are_not_part_of_the_task(
    tmp_path: Path, stimulus: str, included: str, draft: str, training: str
) -> None:
    tree = Tree(tmp_path)
    tree.extra_rows = [
        ("9", "tuba - 9.wav", stimulus, included, draft, training, "tuba", "tuba.wav", "any")
    ]
    assert links(tree.write()) == dict(IMITATIONS)


def test_absent_everyday_originals_are_listed_and_left_out_with_their_imitations(
    tmp_path: Path,
) -> None:
    corpus = load_vocalsketch(Tree(tmp_path, absent=("cow_mooing.wav",)).write())
    assert corpus.missing == {NOT_DISTRIBUTED: ("cow_mooing.wav",)}
    assert "cow_mooing.wav" not in {sound.id for sound in corpus.sounds}
    assert "cow - 5.wav" not in {imitation.id for imitation in corpus.imitations}
    assert len(corpus.imitations) == 4


def test_no_sound_left_is_an_error(tmp_path: Path) -> None:
    tree = Tree(tmp_path, sounds=SOUNDS[2:], imitations=IMITATIONS[2:3])
    tree.absent = ("guitar_playing.wav", "cow_mooing.wav")
    with pytest.raises(DatasetError, match=r"No sound recording .*\(2 everyday .*import-everyday"):
        load_vocalsketch(tree.write())


def test_every_gone_file_is_named_at_once_or_skipped(tmp_path: Path) -> None:
    root = Tree(tmp_path, absent=("guitar - 1.wav", "cow - 5.wav", "tuba.wav")).write()
    with pytest.raises(DatasetError) as raised:
        load_vocalsketch(root)
    for name in ("guitar - 1.wav", "cow - 5.wav", "tuba.wav"):
        assert name in str(raised.value)
    corpus = load_vocalsketch(root, on_bad_audio="skip")
    assert corpus.missing == {
        FILE_GONE: (
            "sound_recordings/tuba.wav",
            "vocal_imitations/included/cow - 5.wav",
            "vocal_imitations/included/guitar - 1.wav",
        )
    }
    assert {i.id for i in corpus.imitations} == {"guitar - 2.wav", "guitar - 3.wav"}


def test_many_gone_files_are_counted(tmp_path: Path) -> None:
    names = tuple(f"tuba - {number:02}.wav" for number in range(13))
    tree = Tree(tmp_path, imitations=[(name, "tuba.wav") for name in names], absent=names)
    with pytest.raises(DatasetError, match=r"tuba - 09\.wav and 3 more"):
        load_vocalsketch(tree.write())


def test_second_set_is_added_only_when_asked_for(tmp_path: Path) -> None:
    root = Tree(tmp_path).write()
    (root / "vocal_imitations_set2/included").mkdir(parents=True)
    (root / "vocal_imitations_set2/included/tuba - 7.wav").touch()
    (root / "vocal_imitations_set2/included/tuba - 8.wav").touch()
    rows = [
        f"4.62E+15,tuba - {number}.wav,sound recording,TRUE,FALSE,FALSE,tuba,tuba.wav,any"
        for number in (7, 8)
    ]
    table = "\r".join([",".join(IMITATION_COLUMNS), *rows])
    (root / "vocal_imitaitons_set2.csv").write_text(table, newline="")
    assert links(root) == dict(IMITATIONS)
    added = {"tuba - 7.wav": "tuba.wav", "tuba - 8.wav": "tuba.wav"}
    assert links(root, second_set=True) == {**dict(IMITATIONS), **added}


def test_tables_with_a_mark_foreign_line_ends_and_foreign_letters_are_read(tmp_path: Path) -> None:
    root = Tree(tmp_path).write()
    for table in root.glob("*.csv"):
        text = table.read_text().replace("label", "\xe9tiquette").replace("\xe9tiquette_id", "x")
        text = text.replace("sound_\xe9tiquette", "sound_label").replace("\n", "\r\n")
        table.write_bytes(b"\xef\xbb\xbf" + text.encode("latin-1"))
    assert links(root) == dict(IMITATIONS)


def test_a_marker_file_makes_it_the_demo_corpus(tmp_path: Path) -> None:
    root = Tree(tmp_path).write()
    assert load_vocalsketch(root).name == "vocalsketch"
    (root / "DEMO").touch()
    assert load_vocalsketch(root).name == "demo"


def _without(name: str, old: str, new: str) -> object:
    def damage(root: Path) -> None:
        table = root / name
        table.write_text(table.read_text().replace(old, new))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            _without("vocal_imitations.csv", "stimulus_type", "stimulus"),
            r"vocal_imitations\.csv has no column 'stimulus_type'; it has 'id', 'filename', 'sti",
        ),
        (
            _without("sound_recordings.csv", "audio_concept_subset", "x"),
            r"sound_recordings\.csv has no column 'audio_concept_subset'",
        ),
        (_without("sound_recordings.csv", "tuba.wav,tuba,2,acoustic instruments", "t"), "line 3"),
        (
            _without("sound_recordings.csv", "tuba.wav", "guitar.wav"),
            "recordings in .*'guitar.wav'",
        ),
        (
            _without("sound_recordings.csv", "tuba.wav", "tube.wav"),
            r"csv lacks: tuba\.wav",
        ),
        (
            _without("vocal_imitations.csv", "guitar - 2", "guitar - 1"),
            "twice in vocal_imitations.csv: guitar - 1.wav",
        ),
        (lambda root: (root / "sound_recordings.csv").unlink(), "does not exist"),
        (
            lambda root: (root / "vocal_imitations/included").rename(root / "vocal_imitations/in"),
            "neither vocal_imitations/included nor included_vocal_imitations",
        ),
        (lambda root: (root / "vocal_imitations.csv").write_text(""), "it has none"),
    ],
)
def test_a_damaged_tree_is_named(tmp_path: Path, damage: object, message: str) -> None:
    root = Tree(tmp_path).write()
    damage(root)  # type: ignore[operator]
    with pytest.raises(DatasetError, match=message):
        load_vocalsketch(root)


def test_real_audio_corpus_has_its_documented_counts(shared: Path) -> None:
    corpus = load_vocalsketch(shared / "data/vocalsketch")
    counts = [
        sum(sound.category == category for sound in corpus.sounds) for category in corpus.categories
    ]
    assert corpus.categories == (
        "acoustic instruments",
        "commercial synthesizers",
        "everyday",
        "single synthesizer",
    )
    assert counts == [24, 24, 24, 24]
    assert len(corpus.imitations) == 960
    assert len({imitation.sound_id for imitation in corpus.imitations}) == 96
    assert corpus.missing == {}
