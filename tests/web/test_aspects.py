"""What listens and what counts: the page is told of it, and a request weighs it."""

import io

import numpy as np
import pytest
import soundfile
from small_networks import RATE, chirp, write_library
from starlette.testclient import TestClient

from vocalsketch.errors import ConfigError
from vocalsketch.search import Index, Searcher, build_index
from vocalsketch.web.app import Pages, build_app
from vocalsketch.web.libraries import Libraries
from vocalsketch.web.server import Limits


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("aspects")
    build_index(write_library(root / "sounds"), root / "index", "contours", jobs=1, progress=False)
    return Index.open(root / "index", threads=1)


@pytest.fixture(scope="module")
def client(index: Index) -> TestClient:
    return TestClient(build_app(Pages(Libraries([index.folder]), Limits()), ["*"]))


def sung() -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, chirp(1, 0.7), RATE, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def scores(client: TestClient, *aspects: str) -> dict[str, float]:
    answer = client.post("/api/search", content=sung(), params={"aspect": aspects, "count": 100})
    assert answer.status_code == 200, answer.text
    return {hit["path"]: hit["score"] for hit in answer.json()["hits"]}


def test_a_library_is_heard_by_the_system_that_is_named(index: Index) -> None:
    libraries = Libraries((), [index.library], system=str(index.folder))  # which holds one
    libraries.bring_up_to_date()
    (heard,) = libraries.now().indexes
    assert heard.fingerprint == index.fingerprint
    assert heard.folder != index.folder


def test_the_page_is_told_what_can_be_weighed(client: TestClient, index: Index) -> None:
    told = client.get("/api/state").json()["systems"][0]["aspects"]
    assert told == list(index.system.aspects) == list(Searcher([index]).aspects)
    assert {"loudness", "pitch", "brightness", "timbre"} <= set(told)


def test_a_request_weighs_aspects(client: TestClient, index: Index) -> None:
    plain = scores(client)
    assert scores(client, "pitch=1") == pytest.approx(plain, rel=1e-3, abs=1e-3)
    names = index.system.aspects
    only = {
        one: scores(client, *(f"{name}={float(name == one)}" for name in names)) for one in names
    }
    short = [path for path in plain if path != "long.wav"]  # whose best window may be another
    for path in short:
        total = sum(each[path] for each in only.values())
        assert total == pytest.approx(plain[path], rel=1e-3, abs=1e-3)
        louder = scores(client, "loudness=3")[path]
        assert louder == pytest.approx(plain[path] + 2 * only["loudness"][path], rel=1e-3, abs=1e-3)
    assert len(np.unique(list(only["pitch"].values()))) > 1


@pytest.mark.parametrize("aspect", ["volume=2", "pitch=-1", "pitch=nan", "pitch=inf", "pitch"])
def test_what_cannot_be_weighed_is_refused(client: TestClient, index: Index, aspect: str) -> None:
    answer = client.post("/api/search", content=sung(), params={"aspect": aspect})
    assert answer.status_code == 400
    assert "aspect" in answer.json()["error"]
    with pytest.raises(ConfigError, match="'volume' cannot count 2 times: give 0 or more for one"):
        Searcher([index]).search(chirp(1, 0.7), RATE, aspects={"volume": 2})
