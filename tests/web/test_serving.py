"""The served page: what it gives, what it keeps to itself, and that nothing ends it."""

import io
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
import pytest
import soundfile
from served_page import BOUNDARY, Page, recorded
from small_networks import RATE, chirp

from vocalsketch.search import Index, read_query

SUNG = chirp(1, 0.7)


def encoded(waveform: np.ndarray, rate: int = RATE, kind: str = "WAV") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, waveform, rate, format=kind)
    return stream.getvalue()


def paths_of(html: str) -> list[str]:
    return [unescape(path) for path in re.findall(r'data-path="([^"]*)"', html)]


def likelihoods_of(html: str) -> list[str]:
    return re.findall(r"likelihood </span>([^<]*)<", html)


@pytest.fixture(autouse=True)
def still_there(page: Page) -> None:
    """After each test the page answers as before."""
    yield
    assert page.process.poll() is None
    assert page.get("/").status == 200


def test_a_recording_finds_what_the_index_finds(page: Page, indexes: list[Index]) -> None:
    expected = [hit.path for hit in indexes[0].search(SUNG, RATE, k=10)]
    assert paths_of(page.search(encoded(SUNG))) == expected
    assert paths_of(page.search(encoded(SUNG), count=25))[:3] == expected[:3]


def test_words_tags_system_and_a_found_sound_take_part(page: Page, indexes: list[Index]) -> None:
    sung = encoded(SUNG)
    assert paths_of(page.search(sung, tags=["kick"])) == ["Drums/Kick Drums/deep.wav"]
    worded = [hit.path for hit in indexes[0].search(SUNG, RATE, text="door")]
    assert paths_of(page.search(sung, words="door")) == worded
    other = [hit.path for hit in indexes[1].search(SUNG, RATE)]
    assert paths_of(page.search(sung, system="two")) == other
    fused = page.search(sung, system="one + two")
    assert sorted(paths_of(fused)) == sorted(other)
    like = page.search(sung, like={"sound": "House/CarDoor.wav", "start": 0})
    assert "sounds like <em>CarDoor.wav</em>" in like
    sound = read_query(indexes[0].file_of("House/CarDoor.wav"))
    shown = [float(likelihood) for likelihood in likelihoods_of(like)]
    expected = [hit.probability for hit in indexes[0].search(*sound)]
    assert shown == pytest.approx(expected, abs=6e-4)


def test_a_sound_is_heard_from_where_it_was_found(page: Page) -> None:
    where = {"index": 0, "path": "long.wav", "start": 2}
    answer = page.get(f"/clip?{urlencode(where)}")
    clip, rate = soundfile.read(io.BytesIO(answer.body))
    whole, _ = soundfile.read(io.BytesIO(page.get("/sound?index=0&path=long.wav").body))
    assert (rate, len(clip)) == (RATE, len(whole) - 2 * RATE)
    np.testing.assert_allclose(clip, whole[2 * RATE :], atol=1e-4)


def test_a_part_of_a_clip_can_be_asked_for(page: Page) -> None:
    target = "/clip?index=0&path=odd%2Fstereo.wav&start=0"
    whole = page.get(target).body
    part = page.get(target, Range="bytes=10-19")
    assert (part.status, part.body) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert page.get(target, Range="bytes=-5").body == whole[-5:]
    assert page.get(target, Range=f"bytes={len(whole)}-").status == 416
    assert page.get(target, Range="bytes=nonsense").body == whole
    assert soundfile.info(io.BytesIO(whole)).channels == 2


OUTSIDE = (
    "../secret.wav",
    "../../../../../../../../etc/passwd",
    "/etc/passwd",
    "House/../../secret.wav",
    "./House/CarDoor.wav",
    "odd/swapped.wav",  # a link that leads out, laid where an indexed sound was
    "new, not indexed.wav",
    "House",
    "",
    "\x00",
    "House/CarDoor.wav\x00",
    "%2e%2e/secret.wav",
    "..\\secret.wav",
    "file:///etc/passwd",
)


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("kind", ["sound", "clip", "spectrogram"])
def test_nothing_but_indexed_sounds_of_the_library_is_served(
    page: Page, root: Path, kind: str, path: str
) -> None:
    for sent in (quote(path, safe=""), quote(quote(path, safe=""), safe="")):
        answer = page.get(f"/{kind}?index=0&path={sent}&start=0")
        assert answer.status == 404
        assert b"root:" not in answer.body
        assert answer.body != (root / "secret.wav").read_bytes()


@pytest.mark.parametrize(
    "target",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/static/../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/pyproject.toml",
        "/assets/..%2f..%2f..%2froutes.py",
        "/assets//etc/passwd",
        "/svelte/../../routes.py",
        "//etc/passwd",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=//etc/passwd",
        "/gradio_api/file=../../../etc/passwd",
        "/gradio_api/file=%2fetc%2fpasswd",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file/etc/passwd",
        "/file=/etc/passwd",
        "/file/etc/passwd",
        "{library}",
        "{checkpoint}",
        "{log}",
    ],
)
def test_no_address_leads_to_other_files(page: Page, root: Path, target: str) -> None:
    places = {
        "{library}": root / "library/House/CarDoor.wav",
        "{checkpoint}": root / "one/network.ckpt",
        "{log}": root / "log.txt",
    }
    if target in places:
        target = f"/gradio_api/file={places[target]}"
    answer = page.get(target)
    assert answer.status in (400, 403, 404)
    assert b"root:" not in answer.body


def test_a_file_of_this_machine_cannot_be_named_as_the_recording(page: Page, root: Path) -> None:
    for path in ("/etc/passwd", str(root / "secret.wav"), "../secret.wav", "/dev/zero"):
        answer = page.call([recorded(path), "", [], "one", 10, None])
        assert answer.status in (400, 403, 422, 500)
        assert "data-path" not in answer.text


def test_no_other_server_is_asked_on_a_visitors_behalf(page: Page) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(0.3)
        address = f"http://127.0.0.1:{other.getsockname()[1]}/x.wav"
        answers = [
            page.call([recorded(address), "", [], "one", 10, None]),
            page.get(f"/gradio_api/file={address}"),
            page.get(f"/gradio_api/file={quote(address, safe='')}"),
            page.get(f"/gradio_api/proxy={address}"),
        ]
        with pytest.raises(TimeoutError):
            other.accept()
    assert all(answer.status >= 400 for answer in answers)


@pytest.mark.parametrize(
    "target",
    ["/monitoring", "/gradio_api/proxy=x", "/gradio_api/vibe-code", "/gradio_api/runs", "/docs"],
)
def test_what_the_page_does_not_need_is_not_there(page: Page, target: str) -> None:
    assert page.get(target).status == 404
    assert page.ask("POST", "/gradio_api/component_server", "{}").status == 404


def test_the_browser_is_told_to_ask_no_other_server(page: Page) -> None:
    for target in ("/", "/clip?index=0&path=long.wav&start=0"):
        policy = page.get(target).headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
        assert "http" not in policy


def test_another_sites_name_is_not_answered(page: Page) -> None:
    assert page.get("/", Host="evil.example").status == 400
    assert page.get("/", Host=f"localhost:{page.port}").status == 200


def test_too_much_is_refused_before_it_is_sent(page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=30) as connection:
        head = (
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {10**12}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        )
        connection.sendall(head.encode())
        with connection.makefile("rb") as stream:  # to its end: one packet may hold the head alone
            answer = stream.read().decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "Too large: at most 0.5 MB are taken." in answer


def test_too_much_without_a_length_is_refused_on_the_way(page: Page) -> None:
    kind = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}

    def endless() -> "list[bytes]":
        yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="x"'.encode()
        yield b"\r\n\r\n"
        for _ in range(40):
            yield b"x" * 50_000

    answer = page.ask("POST", "/gradio_api/upload", endless(), **kind)
    assert answer.status == 413
    assert page.upload(b"x" * 499_000).status == 200
    assert page.upload(b"x" * 540_000).status == 413


def test_large_json_is_refused(page: Page) -> None:
    assert page.call(["x" * 1_000_000]).status == 413


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encoded(np.zeros(RATE)), "is silent"),
        (encoded(SUNG[: RATE // 20]), "too short"),
        (encoded(np.tile(SUNG, 4)), "longer than 2 s"),
        (encoded(np.tile(SUNG, 60), kind="OGG"), "longer than 2 s"),
        (b"this is text in a file named .wav", "not audio that can be decoded"),
        (b"", "empty"),
        (encoded(SUNG)[:3000], "truncated"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(60), "not audio that can be decoded"),
    ],
)
def test_a_bad_recording_is_said_to_be_one(page: Page, content: bytes, reason: str) -> None:
    html = page.search(content)
    assert 'role="alert"' in html
    assert reason in html
    assert "/tmp" not in html


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"tags": ["piano"]}, "No sound is tagged piano"),
        ({"tags": ["x" * 300]}, "at most 20 tags"),
        ({"tags": ["kick"] * 21}, "at most 20 tags"),
        ({"words": "x" * 201}, "at most 200 letters"),
        ({"like": {"sound": "../secret.wav", "start": 0}}, "is not in the index"),
        ({"like": {"sound": "odd/swapped.wav", "start": 0}}, "is not in"),
        ({"like": {"sound": "long.wav", "start": 1e9}}, "outside of its"),
        ({"like": {"sound": "long.wav", "start": -1}}, "names no sound"),
        ({"like": {"sound": ["long.wav"], "start": 0}}, "names no sound"),
        ({"like": [1, 2]}, "names no sound"),
        ({"like": "long.wav"}, "names no sound"),
    ],
)
def test_a_bad_wish_is_said_to_be_one(page: Page, root: Path, asked: dict, reason: str) -> None:
    html = page.search(encoded(SUNG), **asked)
    assert 'role="alert"' in html
    assert reason in unescape(html)
    assert str(root) not in html


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        "text",
        [1, 2, 3, 4, 5, 6],
        [None] * 6,
        [[]] * 6,
        [{}] * 6,
        [{"path": None, "meta": {"_type": "gradio.FileData"}}, "", [], "one", 10, None],
        [{"path": "", "meta": {"_type": "gradio.FileData"}}, "", [], "one", 10, None],
        [None, {"a": 1}, {"b": 2}, ["one"], "ten", {"sound": {}}],
        [None, "", [], "no such system", 10, {"sound": "long.wav", "start": 0}],
        [None, "", [1, None], "one", 10, {"sound": "long.wav", "start": 0}],
        [None, "", [], "one", 1e308, {"sound": "long.wav", "start": 0}],
        [None, "", [], "one", -1, {"sound": "long.wav", "start": True}],
    ],
)
def test_wrong_types_are_refused(page: Page, data: object) -> None:
    answer = page.call(data)
    assert answer.status < 600
    assert "data-path" not in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe\x00", b"[" * 20_000, b'{"data": NaN}', b"null", b'"x"', b"{}"]
)
@pytest.mark.parametrize("target", ["run/search", "queue/join", "call/search", "upload", "cancel"])
def test_malformed_bodies_are_refused(page: Page, target: str, body: bytes) -> None:
    answer = page.ask("POST", f"/gradio_api/{target}", body, Content_Type="application/json")
    assert 400 <= answer.status < 600


def test_connections_that_break_off_hurt_nobody(page: Page) -> None:
    for start in (
        b"",
        b"GET",
        b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\n",
        b"\0\xff",
    ):
        with socket.create_connection(("127.0.0.1", page.port), timeout=5) as connection:
            connection.sendall(start)
    with socket.create_connection(("127.0.0.1", page.port), timeout=5) as connection:
        connection.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
    assert paths_of(page.search(encoded(SUNG)))


def test_several_visitors_do_not_disturb_one_another(page: Page, indexes: list[Index]) -> None:
    queries = [chirp(number, 0.5 + 0.05 * number) for number in range(12)]
    expected = [[hit.path for hit in indexes[0].search(query, RATE)] for query in queries]
    assert len({tuple(paths) for paths in expected}) > 1
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda query: paths_of(page.search(encoded(query))), queries))
    assert found == expected


def test_an_explanation_is_of_the_score_that_was_shown(page: Page, indexes: list[Index]) -> None:
    hit = next(hit for hit in indexes[0].search(SUNG, RATE) if hit.path == "long.wav")
    [path] = page.upload(encoded(SUNG)).json()
    config = page.get("/config").json()
    [number] = [
        each["id"]
        for each in config["dependencies"]
        if [t[1] for t in each["targets"]] == ["explain"]
    ]
    session = "visitor"
    body = {
        "data": [recorded(path), "", [], "one", 10, None],
        "fn_index": number,
        "session_hash": session,
        "event_data": {"sound": "long.wav", "start": hit.start},
    }
    kind = {"Content_Type": "application/json"}
    assert page.ask("POST", "/gradio_api/queue/join", json.dumps(body), **kind).status == 200
    events = page.get(f"/gradio_api/queue/data?session_hash={session}").text
    logit = float(re.search(r"logit (-?[\d.]+);", events).group(1))
    assert logit == pytest.approx(hit.score, abs=0.01)
    assert "Why long.wav for your recording" in events


def test_names_of_files_are_shown_as_they_are(page: Page) -> None:
    html = page.search(encoded(SUNG), count=25)
    assert "<img src=x" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
