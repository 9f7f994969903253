"""Indexes as Lance datasets: exact while small, approximate with a vector index."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from served_page import Page, indexed, served_page
from small_networks import RATE, chirp, write_library

from vocalsketch.cli import main
from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.search import Index, Searcher, build_index
from vocalsketch.search.segment import (
    EMBEDDING,
    SYSTEM,
    Manifest,
    Part,
    schema_of,
    with_embeddings,
    write_segment,
)
from vocalsketch.systems import load_system
from vocalsketch.web.libraries import Libraries

lance = pytest.importorskip("lance")
export_lance = pytest.importorskip("vocalsketch.search.lance").export_lance

CROWD = 600  # rows of which a vector index is made
QUERY = chirp(1, 0.7).astype(np.float32), RATE


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with an index by contours, and one crowded with sounds like its own."""
    root = tmp_path_factory.mktemp("lance")
    build_index(write_library(root / "sounds"), root / "index", "contours", progress=False)
    crowd(root / "crowd", root / "crowded", Index.open(root / "index"))
    export_lance([Index.open(root / "crowd")], str(root / "approximate"), 0, progress=False)
    export_lance([Index.open(root / "index")], str(root / "exact"), progress=False)
    return root


def crowd(folder: Path, library: Path, like: Index) -> None:
    """Write an index of many files around the sounds of another."""
    rng, system = np.random.default_rng(0), load_system("contours")
    (known,) = like.table.blocks
    vectors = known[rng.integers(0, len(known), CROWD)].copy()
    vectors[:, :-2] += 0.02 * rng.standard_normal(vectors[:, :-2].shape, dtype=np.float32)
    vectors[:, -1] = -np.square(vectors[:, :-2]).sum(axis=1)
    schema = schema_of(vectors.shape[1], {})
    names = [f"{('Kick Drums', 'Doors')[n % 2]}/it's {n:03}.wav" for n in range(CROWD)]
    columns = {
        "path": [name.replace("it's", "slam") if n % 3 else name for n, name in enumerate(names)],
        "tags": [[name.split("/")[0].casefold()] for name in names],
        "content": [f"{n:032x}" for n in range(CROWD)],
        "sample_rate": [RATE] * CROWD,
        **{name: [0.0] * CROWD for name in ("start", "end", "duration")},
        **{name: [0] * CROWD for name in ("size", "changed")},
    }
    rows = pa.table(columns, schema.remove(schema.get_field_index(EMBEDDING)))
    folder.mkdir()
    library.mkdir()
    system.save(folder / SYSTEM)
    write_segment(folder / "1.arrow", schema, [with_embeddings(rows, vectors)])
    Manifest(
        version=1,
        segments=(Part("1.arrow", CROWD, ""),),
        removed=[0, 2],
        library=str(library),
        fingerprint=system.fingerprint,
        sounds=CROWD - 2,
        windows=CROWD - 2,
    ).write(folder)


def paths(index: Index, **wishes: object) -> list[str]:
    return [hit.path for hit in index.search(*QUERY, k=5, **wishes)]  # type: ignore[arg-type]


def test_below_a_million_windows_an_export_answers_exactly_as_the_index(root: Path) -> None:
    exported, index = Index.open(root / "exact"), Index.open(root / "index")
    assert not exported.approximate
    assert not lance.dataset(root / "exact").describe_indices()
    for wishes in ({}, {"tags": ["drums"]}, {"text": "door"}, {"aspects": {"pitch": 3.0}}):
        assert exported.search(*QUERY, **wishes) == index.search(*QUERY, **wishes)
    assert exported.paths() == index.paths()
    assert exported.paths(["door"]) == index.paths(["door"]) != index.paths()
    assert exported.tags() == index.tags()
    assert (exported.sounds, exported.windows) == (index.sounds, index.windows)


def test_a_vector_index_finds_what_the_exact_search_finds(root: Path) -> None:
    exported, index = Index.open(root / "approximate"), Index.open(root / "crowd")
    assert exported.approximate
    for found, exact in zip(exported.search(*QUERY, 20), index.search(*QUERY, 20), strict=True):
        assert (found.path, found.tags) == (exact.path, exact.tags)
        assert found.score == pytest.approx(exact.score, rel=1e-5)
        assert found.probability >= exact.probability  # which is among fewer


@pytest.mark.parametrize(
    "wishes",
    [
        {"tags": ["kick"]},
        {"tags": ["doors"], "text": "it"},
        {"text": "slam 4"},
        {"aspects": {"loudness": 4.0, "pitch": 0.0}},
    ],
)
def test_tags_words_and_aspects_hold_among_the_nearest(
    root: Path, wishes: dict[str, object]
) -> None:
    exported, index = Index.open(root / "approximate"), Index.open(root / "crowd")
    assert paths(exported, **wishes) == paths(index, **wishes)


def test_candidates_are_few_and_rows_that_do_not_count_are_not_exported(root: Path) -> None:
    exported = Index.open(root / "approximate")
    asked = exported.embeddings([QUERY])
    assert len(exported.near(asked, 5, {}).table) < exported.windows == CROWD - 2
    assert len(exported.near(asked, 80, {}).table) == 4 * 80
    assert exported.paths()[:1] != ["Kick Drums/it's 000.wav"]
    with pytest.raises(ConfigError, match="No sound is tagged piano"):
        exported.search(*QUERY, tags=["piano"])


def test_files_are_found_by_an_indexed_path_alone(root: Path) -> None:
    exported = Index.open(root / "exact")
    assert exported.file_of("long.wav") == (root / "sounds/long.wav").resolve()
    with pytest.raises(Exception, match="is not in the index exact"):
        exported.file_of("../lance/index/index.json")
    with pytest.raises(Exception, match="bring the index approximate up to date"):
        Index.open(root / "approximate").file_of("Doors/it's 003.wav")


def test_shards_become_one_dataset_or_are_searched_beside_one(root: Path, tmp_path: Path) -> None:
    shards = [Index.open(root / "index"), Index.open(root / "crowd")]
    export_lance(shards, str(tmp_path / "both"), progress=False)
    both, exact = Index.open(tmp_path / "both"), Searcher(shards).search(*QUERY, 9)
    hits = both.search(*QUERY, 9)
    assert [hit.file for hit in hits] == [hit.file for hit in exact]
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in exact])
    assert both.file_of("sounds/long.wav") == (root / "sounds/long.wav").resolve()

    mixed = Searcher.open([root / "index", f"file://{root}/approximate"])
    assert [hit.file for hit in mixed.search(*QUERY, 9)] == [hit.file for hit in exact]
    assert not mixed.missing


def test_a_dataset_that_goes_away_is_named_and_the_others_answer(
    root: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    export_lance([Index.open(root / "crowd")], str(away), 0, progress=False)
    searcher = Searcher.open([root / "index", away])
    for part in ("data", "_indices"):
        (away / part).rename(tmp_path / part)
    assert [hit.path for hit in searcher.search(*QUERY, 5)] == paths(Index.open(root / "index"))
    assert list(searcher.missing) == [str(away)]
    for part in ("data", "_indices"):
        (tmp_path / part).rename(away / part)
    assert len(searcher.search(*QUERY, 20)) == 20
    assert not searcher.missing


@pytest.mark.parametrize(
    ("address", "why"),
    [("nowhere://bucket/sounds", "nowhere"), ("/proc/sounds", "/proc/sounds")],
)
def test_an_address_that_cannot_be_written_is_named(root: Path, address: str, why: str) -> None:
    with pytest.raises(StorageError, match=f"{why}.* cannot be read or written"):
        export_lance([Index.open(root / "index")], address, progress=False)


def test_what_is_no_whole_dataset_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere://b/x cannot be read or written"):
        Index.open("nowhere://b/x")
    other = lance.write_dataset(pa.table({"n": [1]}), tmp_path / "other")
    for told in ({}, {"vocalsketch": "{"}, {"vocalsketch": '{"1": {}}'}):
        other.update_schema_metadata(told, replace=True)
        with pytest.raises(StorageError, match="other is no whole dataset that this program reads"):
            Index.open(tmp_path / "other")
    with pytest.raises(ConfigError, match="There is something in .*other: give another address"):
        export_lance([Index.open(root / "index")], str(tmp_path / "other"), progress=False)
    assert other.count_rows() == 1


def test_an_export_that_fails_leaves_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(type(Index.open(root / "index").system), "save", full)
    with pytest.raises(StorageError, match="No space left"):
        export_lance([Index.open(root / "index")], str(tmp_path / "full"), progress=False)
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_only_inner_products_and_one_system_are_exported(
    root: Path, checkpoint: Path, tmp_path: Path
) -> None:
    build_index(root / "sounds", tmp_path / "network", checkpoint, progress=False)
    network = Index.open(tmp_path / "network")
    with pytest.raises(ConfigError, match="siamese, whose score is no inner product"):
        export_lance([network], str(tmp_path / "out"))
    with pytest.raises(ConfigError, match="different systems"):
        export_lance([Index.open(root / "crowd"), network], str(tmp_path / "out"))
    with pytest.raises(ConfigError, match="different systems"):
        Searcher.open([root / "approximate", tmp_path / "network"])
    with pytest.raises(ConfigError, match="cannot be fused"):
        Searcher.open([root / "approximate", tmp_path / "network"], fuse=True)


def test_the_command_exports_and_searches(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sung = str(tmp_path / "out"), str(tmp_path / "sung.wav")
    soundfile.write(sung, *QUERY)
    assert main(["index", "export", str(root / "index"), "--to", "lance", "--out", out]) == 0
    assert "is searched exactly, which is faster" in capsys.readouterr().out
    assert main(["index", "info", out]) == 0
    assert "6 (6 windows)" in capsys.readouterr().out
    shards = ["--index", out, "--index", str(root / "approximate"), "--index", str(root / "gone")]
    assert main(["search", sung, *shards, "--json", "--top", "9"]) == 3
    told = capsys.readouterr()
    both = Searcher.open([root / "index", root / "crowd"]).search(*QUERY, 9)
    assert [hit["file"] for hit in json.loads(told.out)] == [str(hit.file) for hit in both]
    assert "Approximate: of 598 windows" in told.err
    assert "The answer is partial" in told.err
    assert "gone is missing" in told.err


def test_what_is_missing_is_looked_for_again_and_the_rest_is_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vocalsketch.web.libraries.RESCAN", -1.0)  # with every request
    libraries = Libraries([root / "approximate", tmp_path / "late"])
    (first,) = libraries.now().indexes
    assert list(libraries.now().searcher("").missing) == [str(tmp_path / "late")]
    assert "late is missing" in libraries.now().notes[-1]
    export_lance([Index.open(root / "index")], str(tmp_path / "late"), progress=False)
    kept, late = libraries.now().indexes
    assert kept is first
    assert late.sounds == 6
    assert not libraries.now().searcher("").missing
    with pytest.raises(StorageError, match="No index in"):
        Libraries([tmp_path / "one", tmp_path / "two"])


@pytest.fixture(scope="module")
def page(root: Path) -> Iterator[Page]:
    places = indexed([root / "exact", root / "approximate", root / "gone"])
    with served_page(root / "server", *places) as page:
        yield page


def test_the_page_searches_datasets_and_names_the_missing_shard(root: Path, page: Page) -> None:
    state = page.get("/api/state").json()
    assert [each["sounds"] for each in state["libraries"]] == [6, CROWD - 2]
    assert {"drums", "kick drums", "doors"} <= set(state["folders"])
    assert any("Approximate" in note for note in state["notes"])
    assert any("gone is missing" in note for note in state["notes"])

    sung = root / "sung.wav"
    soundfile.write(sung, *QUERY)
    asked = {"system": "exact + approximate", "count": 9}
    answer = page.search(sung.read_bytes(), **asked).json()
    both = Searcher.open([root / "index", root / "crowd"]).search(*QUERY, 9)
    assert [hit["path"] for hit in answer["hits"]] == [hit.path for hit in both]
    assert answer["missing"] == [str(root / "gone")]
    doors = page.search(sung.read_bytes(), **asked, folder="doors").json()["hits"]
    assert {hit["folders"][0] for hit in doors} == {"Doors"}

    found = page.get("/api/sounds?library=1&words=slam+01").json()
    assert found["paths"] == Index.open(root / "approximate").paths(["slam", "01"])
    assert page.get("/api/clip?library=0&path=long.wav").status == 200
    assert page.get("/api/clip?library=1&path=Doors/slam%20001.wav").status == 404  # made up
    similar = {"like": "long.wav", "library": 0, **asked}
    assert page.search(b"", **similar).json()["hits"][0]["path"]
