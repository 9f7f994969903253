"""Published trees with everything wrong at once: each fault is listed, with what to do about it."""

import csv
from collections.abc import Callable
from pathlib import Path

import published_trees as trees
import pytest

from vocalsketch.datasets.imitation_sets import IMITATIONS
from vocalsketch.datasets.imitation_sets import QVIM_TABLE as QVIM
from vocalsketch.datasets.open import open_corpus
from vocalsketch.datasets.records import ALONE
from vocalsketch.errors import DatasetError

REFERENCES, QUERIES = "reference_file_names.csv", "vocal_imitation_file_names.csv"


def break_vimsketch(root: Path) -> tuple[str, ...]:
    """A reference and an imitation without files, an orphan, a key given twice, a name twice."""
    trees.write_vimsketch(root)
    references = (root / REFERENCES).read_text().splitlines()
    gone, twice = references[0], f"999_{references[1].partition('_')[2]}"
    (root / "references" / gone).unlink()
    trees.tone(root / "references" / twice, 200.0)
    queries = (root / QUERIES).read_text().splitlines()
    (root / "vocal_imitations" / queries[-1]).unlink()
    orphan = "09999_777Nothing.wav"
    trees.tone(root / "vocal_imitations" / orphan, 200.0)
    (root / REFERENCES).write_text("\n".join([*references, twice]))
    (root / QUERIES).write_text("\n".join([*queries, queries[4], orphan]))
    return (
        f"references/{gone}, vocal_imitations/{queries[-1]}. Restore it, or set on_bad_audio",
        f"several references of one key: {references[1]}, {twice}. Keep one of each.",
        f"imitations of nothing: {orphan}. Restore their references, or leave them out",
        f"names imitations twice in {QUERIES}: {queries[4]}. Keep one row of each.",
    )


def break_imitation_set(root: Path) -> tuple[str, ...]:
    """A reference and an imitation without files, one of nothing, one named twice."""
    trees.write_vocal_imitation_set(root)
    with (root / IMITATIONS).open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    place = {name: column for column, name in enumerate(rows[0])}
    names = [row[place["imitation_filename"]] for row in rows]
    reference = rows[1][place["reference_filename"]]
    (root / "original_recordings/reference" / reference).unlink()
    (root / "vocal_imitations/included" / names[4]).unlink()
    rows[5][place["reference_filename"]] = ""
    trees.table(root / IMITATIONS, [*rows, rows[7]], "\t")
    return (
        f"original_recordings/reference/{reference}, vocal_imitations/included/{names[4]}. Restore",
        f"imitations of nothing: {names[5]}. Restore their rows of {IMITATIONS}.",
        f"names imitations twice in {IMITATIONS}: {names[7]}. Keep one row of each.",
    )


def break_qvim(root: Path) -> tuple[str, ...]:
    """An item and a query without files, a query of two items, a row without its class."""
    trees.write_qvim(root)
    with (root / QVIM).open(newline="") as file:
        rows = list(csv.reader(file))
    (root / "Items" / rows[2][1] / rows[2][2]).unlink()
    rows[3][5] = "nowhere.wav"
    rows[5][4] = rows[4][4]
    trees.table(root / QVIM, [*rows, ("label", "", "item.wav", "", "", "")])
    return (
        f"Items/{rows[2][1]}/{rows[2][2]} ({QVIM}, line 3)",
        f"Queries/{rows[3][1]}/nowhere.wav ({QVIM}, line 4). Restore it",
        f"names imitations twice in {QVIM}: {rows[4][1]}/{rows[4][4]}. Keep one row of each.",
        "rows without an item or its class: line 7. Fill them in.",
    )


@pytest.mark.parametrize("broken", [break_vimsketch, break_imitation_set, break_qvim])
def test_everything_wrong_is_listed_at_once_with_the_remedy(
    tmp_path: Path, broken: Callable[[Path], tuple[str, ...]]
) -> None:
    expected = broken(tmp_path)
    with pytest.raises(DatasetError) as raised:
        open_corpus(tmp_path)
    for part in expected:
        assert part in str(raised.value)


TABLES = [
    (trees.write_vimsketch, "*.csv", None),
    (trees.write_vocal_imitation_set, "*.txt", "\t"),
    (trees.write_qvim, "*.csv", ","),
]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize(("write", "tables", "separator"), TABLES)
def test_other_separators_encodings_and_line_ends_are_the_same_tree(
    tmp_path: Path,
    write: Callable[[Path], Path],
    tables: str,
    separator: str | None,
    encoding: str,
) -> None:
    root = write(tmp_path)
    expected = open_corpus(root)
    for path in root.glob(tables):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, delimiter=separator or "\t"))
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=";" if separator else "\t").writerows(rows)
    assert open_corpus(root) == expected


def test_a_table_of_other_columns_says_what_it_has_and_how_it_was_read(tmp_path: Path) -> None:
    trees.write_qvim(tmp_path)
    trees.table(tmp_path / QVIM, [("Label", "Kind", "Sound"), ("a", "b", "c.wav")], ";")
    message = r"no column 'Class', 'Items'; it has 'Label', 'Kind', 'Sound' \(read as UTF-8"
    with pytest.raises(DatasetError, match=message):
        open_corpus(tmp_path)


def test_a_class_of_one_recording_is_left_out_and_counted(tmp_path: Path) -> None:
    trees.write_vocal_imitation_set(tmp_path)
    lone = next((tmp_path / "original_recordings/non_reference").glob("001*"))
    for path in lone.iterdir():
        path.unlink()
    corpus = open_corpus(tmp_path)
    assert corpus.missing == {ALONE: (lone.name,)}
    assert lone.name not in corpus.categories
