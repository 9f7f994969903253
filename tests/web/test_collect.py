"""Collecting imitations: what is kept, what is asked for again, and the study after it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_networks import RATE, chirp, write_library, write_sound
from starlette.testclient import TestClient

from vocalsketch.datasets.open import open_corpus
from vocalsketch.errors import ConfigError, DatasetError
from vocalsketch.web.app import Pages, build_app
from vocalsketch.web.collect import Collection, read_participants
from vocalsketch.web.libraries import Libraries
from vocalsketch.web.server import Limits
from vocalsketch.web.study import Study, StudyPlan, figures, usability


def encoded(waveform: np.ndarray) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, waveform, RATE, format="WAV", subtype="FLOAT")
    return stream.getvalue()


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    return write_library(tmp_path / "sounds")


@pytest.fixture
def client(sounds: Path, tmp_path: Path) -> Iterator[TestClient]:
    limits = Limits(seconds=3.0)
    collection = Collection(sounds, tmp_path / "out", limits, "Do you agree?")
    app = build_app(Pages(Libraries(), limits, others=[collection.router]), ["*"])
    with TestClient(app) as client:
        yield client


def joined(client: TestClient) -> tuple[str, list[int]]:
    answer = client.post("/api/collect/participants", json={"agreed": True}).json()
    return answer["participant"], answer["order"]


def test_what_is_collected_is_a_corpus_that_fit_takes(tmp_path: Path) -> None:
    for number in range(3):
        write_sound(tmp_path / "plain" / "bells" / f"{number}.wav", chirp(number))
    collection = Collection(tmp_path / "plain", tmp_path / "out", Limits(), "Do you agree?")
    pages = Pages(Libraries(), Limits(), others=[collection.router])
    client = TestClient(build_app(pages, ["*"]))
    invited = client.get("/api/collect/invitation").text
    assert invited == '{"consent":"Do you agree?","sounds":3,"seconds":30.0,"study":false}'
    people = [joined(client) for _ in range(2)]
    for participant, order in people:
        for number in order:
            address = f"/api/collect/take?participant={participant}&sound={number}"
            assert client.post(address, content=encoded(chirp(number % 9, 0.6))).status_code == 200
    corpus = open_corpus(str(tmp_path / "out"))
    assert len(corpus.sounds) == len(people[0][1])
    assert len(corpus.imitations) == 2 * len(corpus.sounds)
    assert {each.path.stem for each in corpus.imitations} == {name for name, _ in people}


def test_a_later_take_replaces_the_former_and_its_rating(
    client: TestClient, tmp_path: Path
) -> None:
    participant, order = joined(client)
    address = f"/api/collect/take?participant={participant}&sound={order[0]}"
    rating = {"participant": participant, "sound": order[0], "satisfaction": 4}
    assert client.post("/api/collect/rating", json=rating).status_code == 400  # nothing to rate
    client.post(address, content=encoded(chirp(1, 0.5)))
    assert client.post("/api/collect/rating", json=rating).status_code == 204
    [take] = read_participants(tmp_path / "out")[participant]["takes"].values()
    assert take["satisfaction"] == 4
    client.post(address, content=encoded(chirp(1, 1.0)))
    [file] = (tmp_path / "out" / "imitations").rglob("*.wav")
    assert soundfile.info(file).duration == pytest.approx(1.0, abs=0.01)
    progress = client.get(f"/api/collect/progress?participant={participant}").json()
    assert progress == {"participant": participant, "order": order, "done": [order[0]]}


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        (np.zeros(RATE), "silent"),
        (chirp(1, 0.1), "make it 0.2 s or longer"),
        (chirp(1, 4.0), "longer than 3 s"),
    ],
)
def test_a_take_that_is_none_is_asked_for_again(
    client: TestClient, tmp_path: Path, waveform: np.ndarray, reason: str
) -> None:
    participant, order = joined(client)
    address = f"/api/collect/take?participant={participant}&sound={order[0]}"
    answer = client.post(address, content=encoded(waveform))
    assert answer.status_code == 422
    assert reason in answer.json()["error"]
    assert not list((tmp_path / "out" / "imitations").rglob("*.wav"))


def test_a_take_that_is_clipped_or_soft_is_kept_with_a_warning(client: TestClient) -> None:
    participant, order = joined(client)
    address = f"/api/collect/take?participant={participant}&sound={order[0]}"
    loud = np.clip(chirp(1, 0.5) * 10, -1, 1)
    assert "too loud" in client.post(address, content=encoded(loud)).json()["warnings"][0]
    soft = chirp(1, 0.5) / np.abs(chirp(1, 0.5)).max() * 0.01
    assert "very soft" in client.post(address, content=encoded(soft)).json()["warnings"][0]


def test_nobody_takes_part_without_consent_or_under_another_name(client: TestClient) -> None:
    assert client.post("/api/collect/participants", json={"agreed": False}).status_code == 400
    for name in ("000000000000", "../../../etc", "nobody"):
        answer = client.post(f"/api/collect/take?participant={name}&sound=0", content=b"x")
        assert answer.status_code == 400


def test_two_sounds_of_one_name_are_refused(sounds: Path, tmp_path: Path) -> None:
    first = next(sounds.rglob("*.wav"))
    (sounds / "again").mkdir()
    (sounds / "again" / first.name).write_bytes(first.read_bytes())
    with pytest.raises(DatasetError, match=f"several sounds named {first.stem}"):
        Collection(sounds, tmp_path / "out", Limits())


def test_a_study_times_searches_and_knows_the_rank(sounds: Path, tmp_path: Path) -> None:
    limits = Limits()
    libraries = Libraries((), [sounds])
    libraries.bring_up_to_date()
    collection = Collection(sounds, tmp_path / "out", limits, study=True)
    study = Study(StudyPlan(targets=["long.wav"], tasks=1), collection, libraries)
    pages = Pages(libraries, limits, others=[collection.router, study.router])
    with TestClient(build_app(pages, ["*"])) as client:
        me, _ = joined(client)
        assert client.get(f"/api/study/tasks?participant={me}").json()["count"] == 1
        target = client.get(f"/api/study/target?participant={me}&task=0")
        assert "long" not in json.dumps(dict(target.headers))  # the name would give it away
        found = client.post(f"/api/study/search?participant={me}&task=0", content=target.content)
        rank = next(h["rank"] for h in found.json()["hits"] if h["path"] == "long.wav")
        end = {"participant": me, "task": 0, "chosen": "long.wav"}
        assert client.post("/api/study/end", json=end).status_code == 204
        other, _ = joined(client)  # who gives up before listening
        gave_up = {"participant": other, "task": 0, "chosen": None}
        assert client.post("/api/study/end", json=gave_up).status_code == 204
        opinion = {"participant": me, "answers": [5, 1] * 5}
        assert client.post("/api/study/opinion", json=opinion).status_code == 204
    kept = figures(read_participants(tmp_path / "out"))
    assert (kept["participants"], kept["tasks"]) == (2, 2)
    assert kept["success"]["mean"] == 0.5
    assert kept["mrr"]["mean"] == pytest.approx(1 / rank)
    assert kept["sus"] == {"mean": 100.0, "low": 100.0, "high": 100.0}


def test_figures_count_each_task_once_and_have_intervals() -> None:
    def task(rank: int | None, found: bool, seconds: float) -> dict:
        return {"searches": [{"rank": rank}], "found": found, "began": 0.0, "ended": seconds}

    people = {
        "a": {
            "takes": {"x": {"satisfaction": 2}},
            "tasks": [task(1, True, 10), task(None, False, 99)],
        },
        "b": {"takes": {}, "tasks": [task(4, True, 20)]},
    }
    found = figures(people)
    assert found["mrr"]["mean"] == pytest.approx((1 + 0 + 0.25) / 3)
    assert found["success_at_1"]["mean"] == pytest.approx(1 / 3)
    assert found["success_at_10"]["mean"] == pytest.approx(2 / 3)
    assert found["seconds"]["mean"] == pytest.approx(15)
    assert found["mrr"]["low"] <= found["mrr"]["mean"] <= found["mrr"]["high"]
    assert found["sus"] is None
    assert usability([1, 5] * 5) == 0.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tasks: 0", "tasks is 0"),
        ("task: 3", "No key 'task' .*tasks"),
        ("tasks: [", "is no YAML"),
        ("5", "is no YAML"),
    ],
)
def test_a_study_that_cannot_be_read_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        StudyPlan.read(file)
