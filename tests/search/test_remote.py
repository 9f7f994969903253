"""Indexes at addresses: built there, searched from there, and what goes wrong on the way."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from small_networks import RATE, chirp, write_sound

from vocalsketch.cli import main
from vocalsketch.errors import StorageError
from vocalsketch.files import cache_folder
from vocalsketch.search import Index, Searcher, build_index, embedding
from vocalsketch.search.remote import Remote
from vocalsketch.web.libraries import Libraries

ADDRESS = "memory://bucket/index"


@pytest.fixture(autouse=True)
def storage() -> Iterator[Any]:
    """An empty object storage, of this process."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def names(storage: Any) -> set[str]:
    return {name.removeprefix("/bucket/index/") for name in storage.find("/bucket/index")}


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Go on as on another machine, which has no copy."""
    monkeypatch.setenv("VOCALSKETCH_CACHE", str(tmp_path / "another machine"))


def same(one: Index, other: Index) -> bool:
    rows = np.arange(len(one.table))
    return one.table.live == other.table.live and np.array_equal(
        one.table.embeddings(rows), other.table.embeddings(rows)
    )


build = partial(build_index, jobs=1, progress=False)


def test_an_index_elsewhere_is_the_local_one_and_is_kept_up_to_date(
    library: Path, checkpoint: Path, tmp_path: Path, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "local"
    assert build(library, ADDRESS, checkpoint) == build(library, local, checkpoint)
    assert names(storage) == {"1.arrow", "index.json", "system.safetensors"}
    elsewhere(monkeypatch, tmp_path)
    index = Index.open(ADDRESS)
    assert same(index, Index.open(local))
    assert (index.name, index.update.split()[-1]) == ("index", ADDRESS)
    write_sound(library / "new.wav", chirp(7))
    assert build(library, ADDRESS) == build(library, local)
    assert names(storage) == {"1.arrow", "2.arrow", "index.json", "system.safetensors"}
    (best, *_) = Searcher.open([ADDRESS]).search(chirp(2), RATE, k=7)
    (expected, *_) = Searcher.open([local]).search(chirp(2), RATE, k=7)
    assert best == expected


def test_the_page_keeps_an_index_elsewhere_open(library: Path, checkpoint: Path) -> None:
    build(library, ADDRESS, checkpoint)
    libraries = Libraries([f"{ADDRESS}/"])
    (first,) = libraries.now().indexes
    assert libraries.now().indexes == (first,)  # not fetched with every request


def test_the_command_takes_an_address(
    library: Path, checkpoint: Path, storage: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["index", "build", str(library), "--index", ADDRESS, "--checkpoint", str(checkpoint)]
    assert main(words) == 0
    assert "6 sounds (8 windows): 6 new" in capsys.readouterr().out
    assert main(["search", str(library / "long.wav"), "--index", ADDRESS, "--top", "1"]) == 0


def test_a_part_that_a_worker_left_there_is_used(
    library: Path, checkpoint: Path, storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(function: Any, batches: Any, jobs: int, *, ray: str, shared: Path | None, **_: Any):
        """Stands for a cluster that is lost after two batches."""
        assert (ray, shared) == ("head:1", None)
        for number, batch in enumerate(batches):
            if number == 2:
                raise KeyboardInterrupt
            yield function(batch)

    monkeypatch.setattr(embedding, "FILES_AT_ONCE", 1)
    with monkeypatch.context() as patch:
        patch.setattr("vocalsketch.search.build.spread", here)
        with pytest.raises(KeyboardInterrupt):
            build_index(library, ADDRESS, checkpoint, ray="head:1", progress=False)
    assert len(names(storage)) == 2
    assert all(name.startswith("building/part-") for name in names(storage))
    with pytest.raises(StorageError):
        Index.open(ADDRESS)

    elsewhere(monkeypatch, tmp_path)
    told: list[tuple[int, int]] = []
    build_index(
        library, ADDRESS, checkpoint, jobs=1, progress=lambda done, of: told.append((done, of))
    )
    assert told[-1] == (4, 4)
    assert names(storage) == {"1.arrow", "index.json", "system.safetensors"}
    build(library, tmp_path / "local", checkpoint)
    assert same(Index.open(ADDRESS), Index.open(tmp_path / "local"))


def test_what_a_killed_build_did_not_send_is_sent_by_the_next(
    library: Path, checkpoint: Path, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(library, ADDRESS, checkpoint)
    write_sound(library / "new.wav", chirp(7))
    with monkeypatch.context() as patch:
        patch.setattr(Remote, "push", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            build(library, ADDRESS)
    assert "2.arrow" not in names(storage)
    assert build(library, ADDRESS).embedded == 0
    assert Index.open(ADDRESS).version == 2


def test_a_segment_that_came_damaged_is_refused(
    library: Path, checkpoint: Path, tmp_path: Path, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(library, ADDRESS, checkpoint)
    storage.pipe_file("/bucket/index/1.arrow", storage.cat_file("/bucket/index/1.arrow")[:-100])
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(StorageError, match=f"{ADDRESS}/1.arrow is damaged"):
        Index.open(ADDRESS)
    assert not list(cache_folder().rglob("*.arrow"))


def test_an_address_that_cannot_be_written_is_refused_before_anything_is_embedded(
    library: Path, checkpoint: Path, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(storage), "pipe_file", denied)
    with pytest.raises(StorageError, match=rf"{ADDRESS} cannot be .*written \(Access Denied\)"):
        build(library, ADDRESS, checkpoint)
    with pytest.raises(StorageError, match="nothing://x cannot be read or written"):
        build(library, "nothing://x", checkpoint)
    assert names(storage) == set()
