"""Tables as other systems write them, and everything wrong with one at once."""

from pathlib import Path

import pytest

from vocalsketch.datasets.open import open_corpus
from vocalsketch.errors import DatasetError

HEADER = "imitation,sound,category\n"
NAMES = [f"a/{stem}{end}.wav" for stem in ("Fl\xf6te", "tuba") for end in ("", "_1", "_2")]


def make(root: Path, names: list[str] = NAMES) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


ROWS = "".join(
    f"a/{stem}_{take}.wav,a/{stem}.wav,x\n" for stem in ("Fl\xf6te", "tuba") for take in (1, 2)
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (HEADER + ROWS, "utf-8"),
        ((HEADER + ROWS).replace(",", ";"), "utf-8-sig"),
        ("sep=;\n" + (HEADER + ROWS).replace(",", ";"), "cp1252"),
        ((HEADER + ROWS).replace(",", "\t"), "utf-16"),
        ((HEADER + ROWS).replace(",", "\t"), "utf-16-le"),
        *((HEADER + ROWS, f"utf-{code}") for code in ("16-be", "32", "32-le", "32-be")),
        ((HEADER + ROWS).replace(",", "|"), "utf-8"),
        (HEADER + ROWS + "\x1a", "utf-8"),
        (HEADER + ROWS + "\0\0", "cp1252"),
        (HEADER + ROWS, "latin-1"),
        ((HEADER + ROWS).replace("/", "\\"), "utf-8"),
        ((HEADER + ROWS).replace(".wav", ".WAV"), "utf-8"),
        (" Imitation , SOUND,Category\n" + ROWS + ",,\n , ,\n", "utf-8"),
        ((HEADER + ROWS).replace("\xf6", "o\u0308"), "utf-8"),
    ],
)
def test_the_same_corpus_is_read_from_each(tmp_path: Path, text: str, encoding: str) -> None:
    table = make(tmp_path) / "pairs.csv"
    table.write_bytes(text.encode(encoding))
    corpus = open_corpus(table)
    assert [sound.id for sound in corpus.sounds] == ["a/Fl\xf6te.wav", "a/tuba.wav"]
    assert len(corpus.imitations) == 4


def test_decomposed_names_on_disk_are_the_same_names(tmp_path: Path) -> None:
    make(tmp_path, [name.replace("\xf6", "o\u0308") for name in NAMES])
    (tmp_path / "pairs.csv").write_text(HEADER + ROWS, encoding="utf-8")
    corpus = open_corpus(tmp_path / "pairs.csv")
    assert corpus.sounds[0].id == "a/Fl\xf6te.wav"
    assert corpus.sounds[0].path.is_file()


def test_a_workbook_is_told_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(DatasetError, match="one's own. It is a workbook, no text: save"):
        open_corpus(tmp_path / "pairs.csv")
    (tmp_path / "pairs.csv").write_text("imitation#sound#category\n", encoding="utf-16")
    with pytest.raises(DatasetError, match=r"it has 'imi.*read as UTF-16, cells parted by commas"):
        open_corpus(tmp_path / "pairs.csv")


def test_everything_wrong_is_listed_at_once_with_the_remedy(tmp_path: Path) -> None:
    rows = (
        "a/tuba_1.wav,a/tuba.wav,x\na/tuba_1.wav,a/tuba.wav,x\n,a/tuba.wav,x\n"
        "a/gone.wav,a/tuba.wav,x\na/tuba_2.wav,a/lost.wav,y\n"
    )
    (make(tmp_path) / "pairs.csv").write_text(HEADER + rows)
    with pytest.raises(DatasetError) as raised:
        open_corpus(tmp_path / "pairs.csv")
    for part in (
        "twice in pairs.csv (line 3): a/tuba_1.wav. Keep one row",
        "line 4: imitation is empty. Fill them in.",
        "tables name: a/gone.wav, a/lost.wav. Restore it",
        "a category of one sound: 'x'. Ranking needs at least two",
    ):
        assert part in str(raised.value)
