"""Downloads, from a server of this machine."""

import errno
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vocalsketch.datasets import zenodo
from vocalsketch.datasets.download import (
    download_urbansound8k,
    download_vocalsketch,
    download_voxforge,
)
from vocalsketch.datasets.transfer import Transfer
from vocalsketch.datasets.voxforge import load_voxforge
from vocalsketch.errors import ConfigError, DatasetError, StorageError


class Server(ThreadingHTTPServer):
    """Serves bytes by path; each can be cut short or refused for its first requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cuts: dict[str, list[int]] = {}  # bytes after which an answer is cut
        self.refusals: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.labels: dict[str, str] = {}  # header lines sent with every answer
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        self.agents: set[str | None] = set()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path, wanted = self.path, self.headers.get("Range")
        self.server.asked.append((path, wanted))
        self.server.agents.add(self.headers.get("User-Agent"))
        if self.server.refusals.get(path):
            status, headers = self.server.refusals[path].pop(0)
            return self.answer(status, b"", headers)
        if path not in self.server.files:
            return self.answer(404, b"", {})
        content = self.server.files[path]
        if not wanted or not self.server.ranges:
            return self.answer(200, content, {})
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.answer(206, content[start:], {"Content-Range": span})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | self.server.labels).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cuts = self.server.cuts.get(self.path)
        self.wfile.write(body[: cuts.pop(0)] if cuts else body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def transfer(waits: list[float]) -> Transfer:
    return Transfer(attempts=3, timeout=5, sleep=waits.append, progress=False)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


VOCALSKETCH = {
    "owner-VocalSketch-6c9f381/sound_recordings.csv": b"id,filename\n",
    "owner-VocalSketch-6c9f381/sound_recordings/a.wav": bytes(range(256)) * 2000,
}
RECORD, FILE = "/api/records/13862", "/api/records/13862/files/owner/VocalSketch-v1.0.4.zip/content"


def publish(server: Server, archive: bytes, described: bytes | None = None) -> str:
    """Publish an archive in a record that describes it, or another, and return its address."""
    told = archive if described is None else described
    entry = {
        "key": "owner/VocalSketch-v1.0.4.zip",
        "size": len(told),
        "checksum": md5(told),
        "links": {"self": server.url + FILE},
    }
    server.files[RECORD] = json.dumps({"id": 13862, "files": [entry]}).encode()
    server.files[FILE] = archive
    return server.url + RECORD


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_vocalsketch_arrives_whole_and_is_not_fetched_twice(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    url = publish(server, zipped(VOCALSKETCH))
    out = tmp_path / "data" / "vocalsketch"
    first = download_vocalsketch(out, record_url=url, transfer=transfer)
    assert str(first) == f"Downloaded 1 file(s) to {out}."
    assert files_below(tmp_path) == {
        "data/vocalsketch/sound_recordings.csv": b"id,filename\n",
        "data/vocalsketch/sound_recordings/a.wav": bytes(range(256)) * 2000,
    }
    assert all(agent and agent.startswith("vocalsketch/") for agent in server.agents)
    asked = len(server.asked)
    again = download_vocalsketch(out, record_url=url, transfer=transfer)
    assert str(again) == f"Already in {out}: nothing was downloaded."
    assert len(server.asked) == asked


def test_a_cut_connection_is_gone_on_with_where_it_stopped(
    server: Server, transfer: Transfer, waits: list[float], tmp_path: Path
) -> None:
    archive = zipped(VOCALSKETCH)
    url = publish(server, archive)
    server.cuts[FILE] = [100_000, 200_000]
    download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    ranges = [wanted for path, wanted in server.asked if path == FILE]
    assert ranges == [None, "bytes=100000-", "bytes=300000-"]
    assert waits == [1.0, 1.0]
    assert len(files_below(tmp_path / "set")) == 2


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(
    server: Server, transfer: Transfer, waits: list[float], tmp_path: Path
) -> None:
    url = publish(server, zipped(VOCALSKETCH))
    server.cuts[FILE] = [1000, 0, 0, 0]
    with pytest.raises(DatasetError, match="run again: it goes on where it stopped"):
        download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert waits == [1.0, 2.0]
    assert not (tmp_path / "set").exists()
    server.cuts.clear()
    server.asked.clear()
    download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert (FILE, "bytes=1000-") in server.asked
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_server_without_ranges_sends_all_of_it_again(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    url = publish(server, zipped(VOCALSKETCH))
    server.cuts[FILE] = [1000]
    server.ranges = False
    download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert len(files_below(tmp_path / "set")) == 2


def test_a_finished_part_needs_no_further_byte(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    server.files["/a"] = b"0123456789"
    (tmp_path / "a.part").write_bytes(b"0123456789")
    transfer.fetch(f"{server.url}/a", tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == b"0123456789"
    (tmp_path / "a.part").write_bytes(b"longer than the file")
    transfer.fetch(f"{server.url}/a", tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == b"0123456789"


def test_an_archive_labelled_as_packed_is_left_packed(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    content = tarred({"a.wav": b"x"})
    server.files["/a.tgz"] = content
    server.labels["Content-Encoding"] = "x-gzip"
    transfer.fetch(f"{server.url}/a.tgz", tmp_path / "a.part")
    assert (tmp_path / "a.part").read_bytes() == content


def test_a_busy_server_is_waited_for_as_long_as_it_asks(
    server: Server, transfer: Transfer, waits: list[float], tmp_path: Path
) -> None:
    server.files["/a"] = b"content"
    server.refusals["/a"] = [(503, {}), (429, {"Retry-After": "7"})]
    transfer.fetch(f"{server.url}/a", tmp_path / "a.part")
    assert waits == [1.0, 7.0]


def test_a_refusal_is_not_repeated(server: Server, transfer: Transfer, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="/gone answers HTTP 404 Not Found"):
        transfer.fetch(f"{server.url}/gone", tmp_path / "gone.part")
    assert server.asked == [("/gone", None)]


def test_no_server_is_a_clear_error(tmp_path: Path, transfer: Transfer) -> None:
    with pytest.raises(DatasetError, match=r"Cannot download http://127\.0\.0\.1:9/x .*3 times"):
        transfer.fetch("http://127.0.0.1:9/x", tmp_path / "x.part")


def test_a_tampered_archive_is_refused_and_leaves_nothing(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    good = zipped(VOCALSKETCH)
    bad = good.replace(b"filename", b"fi1ename")
    url = publish(server, bad, described=good)
    with pytest.raises(DatasetError, match=r"does not have the checksum md5:.*removed"):
        download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_published_truncated_is_refused_and_leaves_nothing(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    url = publish(server, zipped(VOCALSKETCH)[:-500])
    with pytest.raises(DatasetError, match=r"VocalSketch-v1\.0\.4\.zip is damaged or cut short"):
        download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_ends_early_never_becomes_a_data_set(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    good = zipped(VOCALSKETCH)
    url = publish(server, good[:-500], described=good)
    with pytest.raises(DatasetError, match=f"of {len(good)} bytes arrived"):
        download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert not (tmp_path / "set").exists()


def test_an_archive_that_climbs_out_is_refused_and_leaves_nothing(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    (tmp_path / "below").mkdir()
    url = publish(server, zipped(VOCALSKETCH | {"../../evil.wav": b"x"}))
    with pytest.raises(DatasetError, match=r"'\.\./\.\./evil\.wav', which leads out"):
        download_vocalsketch(tmp_path / "below" / "set", record_url=url, transfer=transfer)
    assert files_below(tmp_path) == {}


def test_a_full_disk_keeps_the_finished_download(
    server: Server, transfer: Transfer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(archive: Path, folder: Path) -> None:
        (folder / "half.wav").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    url = publish(server, zipped(VOCALSKETCH))
    with monkeypatch.context() as patch:
        patch.setattr(zenodo, "unpack", full)
        with pytest.raises(StorageError, match=r"No space left on device.*downloads are kept"):
            download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert list(files_below(tmp_path)) == ["set.download/VocalSketch-v1.0.4.zip"]
    server.asked.clear()
    download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert server.asked == [(RECORD, None)]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_another_data_set_is_refused_and_leaves_nothing(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    url = publish(server, zipped({"set/other.csv": b"x"}))
    with pytest.raises(DatasetError, match=r"holds no sound_recordings\.csv"):
        download_vocalsketch(tmp_path / "set", record_url=url, transfer=transfer)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, transfer: Transfer) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match="choose another folder"):
        download_vocalsketch(tmp_path, record_url="http://127.0.0.1:9/x", transfer=transfer)
    assert files_below(tmp_path) == {"mine.txt": b"mine"}


def test_a_folder_that_cannot_be_made_is_a_clear_error(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    url = publish(server, zipped(VOCALSKETCH))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"Cannot write .*file/set"):
        download_vocalsketch(tmp_path / "file" / "set", record_url=url, transfer=transfer)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "not answer with a zenodo record"),
        (b'{"message": "gone"}', "not answer with a zenodo record"),
        (b'{"files": [{"key": "a.zip"}]}', "not answer with a zenodo record"),
        (b'{"files": []}', "lists no file"),
    ],
)
def test_an_answer_that_is_no_record_is_refused(
    server: Server, transfer: Transfer, tmp_path: Path, answer: bytes, message: str
) -> None:
    server.files[RECORD] = answer
    with pytest.raises(DatasetError, match=message):
        download_vocalsketch(tmp_path / "set", record_url=server.url + RECORD, transfer=transfer)


def test_urbansound8k_arrives_by_its_checksum(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    archive = tarred(
        {"UrbanSound8K/metadata/UrbanSound8K.csv": b"x", "UrbanSound8K/audio/fold1/a.wav": b"y"}
    )
    server.files["/UrbanSound8K.tar.gz"] = archive
    url, out = f"{server.url}/UrbanSound8K.tar.gz", tmp_path / "set"
    with pytest.raises(DatasetError, match="does not have the checksum"):
        download_urbansound8k(out, url=url, transfer=transfer)
    assert list(tmp_path.iterdir()) == []
    download_urbansound8k(out, url=url, checksum=md5(archive), transfer=transfer)
    assert files_below(out) == {"metadata/UrbanSound8K.csv": b"x", "audio/fold1/a.wav": b"y"}
    assert download_urbansound8k(out, url=url, transfer=transfer).fetched == 0


def publish_voxforge(server: Server, folder: str, speakers: dict[str, int]) -> str:
    """Publish archives of some clips each, with the page that lists them."""
    page = f"/downloads/{folder}/Trunk/Audio/Main/16kHz_16bit/"
    links = (
        '<a href="?C=N;O=D">Name</a> <a href="/downloads/">Parent</a> <a href="..%2Fevil.tgz">x</a>'
    )
    for submission, clips in speakers.items():
        members = {f"{submission}/wav/{number}.wav": b"sound" for number in range(clips)}
        server.files[f"{page}{submission}.tgz"] = tarred(members)
        links += f'<a href="{submission}.tgz">{submission}.tgz</a>'
    server.files[page] = f"<html><body>{links}</body></html>".encode()
    return page


SPEAKERS = {f"{name}-2008010{day}-abc": 10 for name in ("ada", "bob", "cyd") for day in range(1, 5)}


def test_voxforge_archives_come_until_there_are_enough_clips(
    server: Server, transfer: Transfer, waits: list[float], tmp_path: Path
) -> None:
    publish_voxforge(server, "SpeechCorpus", SPEAKERS)
    publish_voxforge(server, "Dutch", {"anna-20080101-abc": 10})
    base = f"{server.url}/downloads/"
    download = download_voxforge(
        tmp_path, ["en", "nl"], 25, base_url=base, pause=0.25, transfer=transfer
    )
    assert (download.fetched, download.present) == (4, 0)
    assert waits == [0.25] * 4
    english = sorted(path.name for path in (tmp_path / "en").iterdir())
    assert [name.partition("-")[0] for name in english] == ["ada", "bob", "cyd"]
    assert [path.name for path in (tmp_path / "nl").iterdir()] == ["anna-20080101-abc.tgz"]
    corpus = load_voxforge(tmp_path, ["en", "nl"], 25)
    assert len(corpus.clips) == 35


def test_voxforge_goes_on_behind_the_archives_that_are_there(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    publish_voxforge(server, "SpeechCorpus", SPEAKERS)
    base = f"{server.url}/downloads/"
    download_voxforge(tmp_path, ["en"], 25, base_url=base, transfer=transfer)
    server.asked.clear()
    download = download_voxforge(tmp_path, ["en"], 45, base_url=base, transfer=transfer)
    assert (download.fetched, download.present) == (2, 3)
    assert len(server.asked) == 3  # the page and two archives
    again = download_voxforge(tmp_path, ["en"], 45, base_url=base, transfer=transfer)
    assert str(again) == f"Already in {tmp_path}: nothing was downloaded."


def test_voxforge_counts_what_was_extracted_and_fetches_it_no_more(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    publish_voxforge(server, "fr", {"anne-20080101-abc": 10})
    (tmp_path / "fr/anne-20080101-abc/wav").mkdir(parents=True)
    (tmp_path / "fr/anne-20080101-abc/wav/1.wav").write_bytes(b"x")
    base = f"{server.url}/downloads/"
    download = download_voxforge(tmp_path, ["fr"], None, base_url=base, transfer=transfer)
    assert (download.fetched, download.present) == (0, 1)


def test_a_damaged_voxforge_archive_is_left_out_and_named(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    page = publish_voxforge(server, "Russian", {"ivan-20080101-abc": 3, "olga-20080101-abc": 3})
    bad = f"{page}ivan-20080101-abc.tgz"
    server.files[bad] = server.files[bad][:-30]
    base = f"{server.url}/downloads/"
    download = download_voxforge(tmp_path, ["ru"], None, base_url=base, transfer=transfer)
    assert download.damaged == ("ru/ivan-20080101-abc.tgz",)
    assert "damaged and left out: ru/ivan-20080101-abc.tgz" in str(download)
    assert [path.name for path in (tmp_path / "ru").iterdir()] == ["olga-20080101-abc.tgz"]


def test_a_voxforge_archive_cut_in_transit_is_gone_on_with(
    server: Server, transfer: Transfer, tmp_path: Path
) -> None:
    page = publish_voxforge(server, "de", {"eva-20080101-abc": 3})
    server.cuts[f"{page}eva-20080101-abc.tgz"] = [50]
    base = f"{server.url}/downloads/"
    download_voxforge(tmp_path, ["de"], None, base_url=base, transfer=transfer)
    assert server.asked[-1] == (f"{page}eva-20080101-abc.tgz", "bytes=50-")
    assert len(load_voxforge(tmp_path, ["de"]).clips) == 3


@pytest.mark.parametrize(
    ("languages", "error", "message"),
    [
        (["../etc"], ConfigError, "give names such as"),
        ([], ConfigError, "give names such as"),
        (["sv"], DatasetError, "/sv/Trunk/.* answers HTTP 404"),
        (["it"], DatasetError, "lists no archive"),
    ],
)
def test_a_language_that_voxforge_lacks_is_named(
    server: Server,
    transfer: Transfer,
    tmp_path: Path,
    languages: list[str],
    error: type[Exception],
    message: str,
) -> None:
    publish_voxforge(server, "it", {})
    with pytest.raises(error, match=message):
        download_voxforge(
            tmp_path, languages, base_url=f"{server.url}/downloads/", transfer=transfer
        )
    assert list(tmp_path.iterdir()) == []
