"""The served page: what it gives, what it keeps to itself, and that nothing ends it."""

import io
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlencode

import av
import numpy as np
import pytest
import soundfile
from served_page import JSON, Page
from small_networks import RATE, chirp

from vocalsketch.search import Index, read_query

SUNG = chirp(1, 0.7)


def encoded(waveform: np.ndarray, rate: int = RATE, kind: str = "WAV") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, waveform, rate, format=kind)
    return stream.getvalue()


def as_a_browser_records(waveform: np.ndarray, container: str, codec: str) -> bytes:
    """Return what MediaRecorder sends: opus or AAC in a container that libsndfile cannot read."""
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as file:
        track = file.add_stream(codec, rate=48_000, layout="mono")
        samples = np.repeat(waveform, 48_000 // RATE).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(format=track.format, layout="mono", rate=48_000)
        for piece in resampler.resample(frame):
            file.mux(track.encode(piece))
        file.mux(track.encode(None))
    return stream.getvalue()


@pytest.fixture(autouse=True)
def still_there(page: Page) -> Iterator[None]:
    """After each test the page answers as before."""
    yield
    assert page.process.is_alive()
    assert page.get("/").status == 200


def test_a_recording_finds_what_the_index_finds(page: Page, indexes: list[Index]) -> None:
    expected = indexes[0].search(SUNG, RATE, k=10)
    answer = page.search(encoded(SUNG)).json()
    assert [hit["path"] for hit in answer["hits"]] == [hit.path for hit in expected]
    assert [hit["probability"] for hit in answer["hits"]] == pytest.approx(
        [hit.probability for hit in expected],
        rel=0.01,  # a wav has 16 bits
    )
    assert answer["sounds"] == indexes[0].sounds
    assert answer["heard"]["seconds"] == pytest.approx(0.7, abs=0.01)
    assert "0.70 s (nothing was cut: there is no silence" in answer["heard"]["note"]
    assert page.paths(encoded(SUNG), count=25)[:3] == [hit.path for hit in expected][:3]


def test_words_folders_system_and_a_found_sound_take_part(page: Page, indexes: list[Index]) -> None:
    sung = encoded(SUNG)
    assert page.paths(sung, folder="kick") == ["Drums/Kick Drums/deep.wav"]
    worded = [hit.path for hit in indexes[0].search(SUNG, RATE, text="door")]
    assert page.paths(sung, words="door") == worded
    other = [hit.path for hit in indexes[1].search(SUNG, RATE)]
    assert page.paths(sung, system="two") == other
    assert sorted(page.paths(sung, system="one + two")) == sorted(other)
    like = page.search(b"", like="House/CarDoor.wav").json()["hits"]
    sound = read_query(indexes[0].file_of("House/CarDoor.wav"))
    expected = [hit.probability for hit in indexes[0].search(*sound)]
    assert [hit["probability"] for hit in like] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("container", "codec"), [("webm", "libopus"), ("ogg", "libopus"), ("mp4", "aac")]
)
def test_what_browsers_and_phones_record_is_heard(page: Page, container: str, codec: str) -> None:
    assert page.paths(as_a_browser_records(SUNG, container, codec))


def test_the_state_names_systems_libraries_and_folders(page: Page, indexes: list[Index]) -> None:
    state = page.get("/api/state").json()
    assert [each["name"] for each in state["systems"]] == ["one", "two", "one + two"]
    assert [each["sounds"] for each in state["libraries"]] == [indexes[0].sounds]
    assert "kick drums" in state["folders"]
    assert state["limits"] == {"seconds": 2.0, "megabytes": 0.5}


def test_the_api_documents_itself(page: Page) -> None:
    described = page.get("/api/openapi.json").json()
    assert {"/api/search", "/api/sounds", "/api/clip", "/api/explain"} <= set(described["paths"])
    assert "audio/*" in described["paths"]["/api/search"]["post"]["requestBody"]["content"]
    assert page.get("/docs").status == 404  # a page that would ask other servers


def test_sounds_are_listed(page: Page, indexes: list[Index]) -> None:
    whole = page.get("/api/sounds").json()
    assert whole["total"] == indexes[0].sounds
    assert page.get("/api/sounds?words=KICK+deep").json()["paths"] == ["Drums/Kick Drums/deep.wav"]
    assert page.get("/api/sounds?first=2").json()["paths"] == whole["paths"][2:]


def test_a_sound_is_heard_from_where_it_was_found(page: Page) -> None:
    answer = page.get(f"/api/clip?{urlencode({'path': 'long.wav', 'start': 2})}")
    clip, rate = soundfile.read(io.BytesIO(answer.body))
    whole, _ = soundfile.read(io.BytesIO(page.get("/api/file?path=long.wav").body))
    assert (rate, len(clip)) == (RATE, len(whole) - 2 * RATE)
    np.testing.assert_allclose(clip, whole[2 * RATE :], atol=1e-4)


def test_a_part_of_a_clip_can_be_asked_for(page: Page) -> None:
    target = "/api/clip?path=odd%2Fstereo.wav"
    whole = page.get(target).body
    part = page.get(target, Range="bytes=10-19")
    assert (part.status, part.body) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert page.get(target, Range="bytes=-5").body == whole[-5:]
    assert page.get(target, Range=f"bytes={len(whole)}-").status == 416
    assert page.get(target, Range="bytes=5-4").status == 416
    assert page.get(target, Range="lines=1-2").body == whole


def test_a_picture_and_the_file_are_sent(page: Page, root: Path) -> None:
    picture = page.get("/api/spectrogram?path=long.wav&start=2")
    assert picture.body.startswith(b"\x89PNG")
    file = page.get("/api/file?path=House%2FCarDoor.wav")
    assert file.body == (root / "library/House/CarDoor.wav").read_bytes()
    assert file.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.wav",
        "odd/../../secret.wav",
        "/etc/passwd",
        "{root}/secret.wav",
        "odd/swapped.wav",
        "new, not indexed.wav",
        "..%2fsecret.wav",
        "long.wav\0",
        "",
        ".",
    ],
)
@pytest.mark.parametrize("name", ["clip", "spectrogram", "file"])
def test_only_indexed_sounds_within_the_library_are_served(
    page: Page, root: Path, name: str, path: str
) -> None:
    answer = page.get(f"/api/{name}?{urlencode({'path': path.format(root=root)})}")
    assert answer.status == 404
    assert answer.json() == {"error": "There is no such sound here."}


@pytest.mark.parametrize(
    "target",
    [
        "/../pyproject.toml",
        "/..%2f..%2fpyproject.toml",
        "/%2e%2e/app.py",
        "//etc/passwd",
        "/static/../app.py",
        "/app.py",
        "/api/file",
        "/api/clip?library=9&path=long.wav",
        "/api/clip?library=-1&path=long.wav",
        "/api/clip?path=long.wav&start=nan",
        "/api/example?name=..%2fsecret",
    ],
)
def test_no_address_leads_to_other_files(page: Page, target: str) -> None:
    answer = page.get(target)
    assert answer.status in (400, 404)
    assert b"root:" not in answer.body
    assert b"import" not in answer.body


def test_no_other_server_is_asked_on_a_visitors_behalf(page: Page) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(0.3)
        address = f"http://127.0.0.1:{other.getsockname()[1]}/x.wav"
        answers = [
            page.search(address.encode()),
            page.search(b"", like=address),
            page.get(f"/api/clip?path={quote(address, safe='')}"),
        ]
        with pytest.raises(TimeoutError):
            other.accept()
    assert all(answer.status >= 400 for answer in answers)


def test_the_browser_is_told_to_ask_no_other_server(page: Page) -> None:
    for target in ("/", "/page.js", "/api/clip?path=long.wav"):
        policy = page.get(target).headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
        assert "http" not in policy


def test_the_static_files_name_no_other_server(page: Page) -> None:
    for target in ("/", "/page.js", "/backend.js", "/recorder.js", "/page.css", "/collect.html"):
        text = page.get(target).text.replace("http://www.w3.org/", "")
        assert "http://" not in text
        assert "https://" not in text


def test_another_sites_name_is_not_answered(page: Page) -> None:
    refused = page.get("/", Host="evil.example")
    assert refused.status == 400
    assert "--allow-host" in refused.json()["error"]
    for host in (f"localhost:{page.port}", f"[::1]:{page.port}", "127.0.0.1"):
        assert page.get("/", Host=host).status == 200


def test_what_another_sites_page_sends_is_refused(page: Page) -> None:
    foreign = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}
    assert page.ask("POST", "/api/search", encoded(SUNG), **foreign).status == 400
    assert page.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200


def test_too_much_is_refused_before_it_is_sent(page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as connection:
        head = f"POST /api/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {10**12}\r\n\r\n"
        connection.sendall(head.encode())
        with connection.makefile("rb") as stream:  # to its end: one packet may hold the head alone
            answer = stream.read().decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "Too large: at most 0.5 MB are taken." in answer


def test_too_much_without_a_length_is_refused_on_the_way(page: Page) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 50_000

    assert page.search(endless()).status == 413
    assert page.search(b"x" * 499_000).status == 422
    assert page.search(b"x" * 540_000).status == 413


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encoded(np.zeros(RATE)), "silent"),
        (encoded(SUNG[: RATE // 20]), "too short"),
        (encoded(np.tile(SUNG, 4)), "longer than 2 s"),
        (encoded(np.tile(SUNG, 60), kind="OGG"), "longer than 2 s"),
        (b"this is text in a file named .wav", "Your recording: "),
        (b"", "There is no recording"),
        (b"\0" * 5000, "Your recording: "),
    ],
)
def test_a_bad_recording_is_said_to_be_one(page: Page, content: bytes, reason: str) -> None:
    answer = page.search(content)
    assert answer.status == 422
    assert reason in answer.json()["error"]
    assert "/tmp" not in answer.text


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"folder": "piano"}, "No sound is tagged piano"),
        ({"folder": "x" * 300}, "at most 200"),
        ({"folder": ["kick"] * 21}, "at most 20"),
        ({"words": "x" * 201}, "at most 200"),
        ({"like": "../secret.wav"}, "is not in the index"),
        ({"like": "odd/swapped.wav"}, "is not in"),
        ({"like": "long.wav", "start": 1e9}, "outside of its"),
        ({"like": "long.wav", "start": -1}, "greater than or equal to 0"),
        ({"like": "long.wav", "library": 7}, "There is no library 7"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"count": 101}, "less than or equal to 100"),
        ({"count": "ten"}, "valid integer"),
        ({"system": "no such system"}, "choose one or two or one + two"),
    ],
)
def test_a_bad_wish_is_said_to_be_one(page: Page, root: Path, asked: dict, reason: str) -> None:
    answer = page.search(encoded(SUNG), **asked)
    assert answer.status in (400, 422)
    assert reason in answer.json()["error"]
    assert str(root) not in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\x00", b"[" * 20_000, b"null", b'"x"'])
@pytest.mark.parametrize("target", ["search", "explain", "reveal", "nothing"])
def test_malformed_requests_are_refused(page: Page, target: str, body: bytes) -> None:
    answer = page.ask("POST", f"/api/{target}", body, Content_Type=JSON["Content-Type"])
    assert 400 <= answer.status < 500


def test_connections_that_break_off_hurt_nobody(page: Page) -> None:
    for start in (b"", b"GET", b"POST /api/search HTTP/1.1\r\nHost: localhost\r\n", b"\0\xff"):
        with socket.create_connection(("127.0.0.1", page.port), timeout=5) as connection:
            connection.sendall(start)
    with socket.create_connection(("127.0.0.1", page.port), timeout=5) as connection:
        connection.sendall(
            b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nRIFF"
        )
    assert page.paths(encoded(SUNG))


def test_several_visitors_do_not_disturb_one_another(page: Page, indexes: list[Index]) -> None:
    queries = [chirp(number, 0.5 + 0.05 * number) for number in range(12)]
    expected = [[hit.path for hit in indexes[0].search(query, RATE)] for query in queries]
    assert len({tuple(paths) for paths in expected}) > 1
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda query: page.paths(encoded(query)), queries))
    assert found == expected


def test_an_explanation_names_the_pair(page: Page) -> None:
    answer = page.ask("POST", "/api/explain?path=long.wav", encoded(SUNG))
    assert answer.status == 200
    assert "long.wav" in answer.text
    assert "your recording" in answer.text
    assert page.ask("POST", "/api/explain?path=..%2Fsecret.wav", encoded(SUNG)).status == 400


def test_names_of_files_are_sent_as_they_are(page: Page) -> None:
    paths = page.paths(encoded(SUNG), count=25)
    assert any("<img src=x onerror=alert(1)>" in path for path in paths)


def test_a_file_manager_is_opened_for_indexed_sounds_only(page: Page) -> None:
    body = json.dumps({"library": 0, "path": "../secret.wav"})
    answer = page.ask("POST", "/api/reveal", body, Content_Type=JSON["Content-Type"])
    assert answer.status == 400
