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

from vocalsketch.cli import main
from vocalsketch.datasets import archive as archive_module
from vocalsketch.datasets.download import (
    PUBLISHED,
    RETRIES,
    WEIGHTS,
    Published,
    RemoteFile,
    download,
    download_file,
    download_voxforge,
)
from vocalsketch.datasets.labelled import load_voxforge
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


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would be waited for between attempts and between archives."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


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


def publish(server: Server, archive: bytes, described: bytes | None = None) -> Published:
    """Publish an archive in a record that describes it, or another."""
    told = archive if described is None else described
    entry = {
        "key": "owner/VocalSketch-v1.0.4.zip",
        "size": len(told),
        "checksum": md5(told),
        "links": {"self": server.url + FILE},
    }
    server.files[RECORD] = json.dumps({"id": 13862, "files": [entry]}).encode()
    server.files[FILE] = archive
    return Published("sound_recordings.csv", server.url + RECORD)


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_vocalsketch_arrives_whole_and_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    published = publish(server, zipped(VOCALSKETCH))
    out = tmp_path / "data" / "vocalsketch"
    first = download(published, out)
    assert str(first) == f"Downloaded 1 file(s) to {out}."
    assert files_below(tmp_path) == {
        "data/vocalsketch/sound_recordings.csv": b"id,filename\n",
        "data/vocalsketch/sound_recordings/a.wav": bytes(range(256)) * 2000,
    }
    assert all(agent and agent.startswith("vocalsketch/") for agent in server.agents)
    asked = len(server.asked)
    again = download(published, out)
    assert str(again) == f"Already in {out}: nothing was downloaded."
    assert len(server.asked) == asked


def test_a_cut_connection_is_gone_on_with_where_it_stopped(
    server: Server, waits: list[float], tmp_path: Path
) -> None:
    archive = zipped(VOCALSKETCH)
    published = publish(server, archive)
    server.cuts[FILE] = [100_000, 200_000]
    download(published, tmp_path / "set")
    ranges = [wanted for path, wanted in server.asked if path == FILE]
    assert ranges == [None, "bytes=100000-", "bytes=300000-"]
    assert waits == [1, 2]
    assert len(files_below(tmp_path / "set")) == 2


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(
    server: Server, waits: list[float], tmp_path: Path
) -> None:
    published = publish(server, zipped(VOCALSKETCH))
    server.cuts[FILE] = [1000, *[0] * RETRIES]
    with pytest.raises(DatasetError, match="run again: it goes on where it stopped"):
        download(published, tmp_path / "set")
    assert waits == [1, 2, 3, 4, 5, 6, 7]
    assert not (tmp_path / "set").exists()
    server.cuts.clear()
    server.asked.clear()
    download(published, tmp_path / "set")
    assert (FILE, "bytes=1000-") in server.asked
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_server_without_ranges_sends_all_of_it_again(server: Server, tmp_path: Path) -> None:
    published = publish(server, zipped(VOCALSKETCH))
    server.cuts[FILE] = [1000]
    server.ranges = False
    download(published, tmp_path / "set")
    assert len(files_below(tmp_path / "set")) == 2


def one_file(server: Server, content: bytes) -> Published:
    """Publish a file whose checksum nobody tells."""
    server.files["/set.zip"] = content
    return Published("a.csv", files=(RemoteFile("set.zip", f"{server.url}/set.zip"),))


def test_a_finished_part_needs_no_further_byte(server: Server, tmp_path: Path) -> None:
    content = zipped({"a.csv": b"x"})
    published = one_file(server, content)
    part = tmp_path / "out.download/set.zip.part"
    part.parent.mkdir()
    part.write_bytes(content)
    download(published, tmp_path / "out")
    assert server.asked == [("/set.zip", f"bytes={len(content)}-")]
    part.parent.mkdir()
    part.write_bytes(content + b"longer than the file")
    download(published, tmp_path / "again")
    assert files_below(tmp_path / "again") == {"a.csv": b"x"}


def test_an_archive_labelled_as_packed_is_left_packed(server: Server, tmp_path: Path) -> None:
    server.files["/set.tgz"] = tarred({"a.csv": b"x"})
    server.labels["Content-Encoding"] = "x-gzip"
    file = RemoteFile("set.tgz", f"{server.url}/set.tgz", md5(server.files["/set.tgz"]))
    download(Published("a.csv", files=(file,)), tmp_path / "out")
    assert files_below(tmp_path / "out") == {"a.csv": b"x"}


def test_a_checksum_that_nobody_publishes_is_recorded_and_held_against_later_downloads(
    server: Server, tmp_path: Path
) -> None:
    published = one_file(server, zipped({"a.csv": b"x"}))
    download(published, tmp_path / "first")
    download(published, tmp_path / "second")
    assert files_below(tmp_path / "second") == {"a.csv": b"x"}
    server.files["/set.zip"] = zipped({"a.csv": b"y"})
    with pytest.raises(DatasetError, match="does not have the checksum sha256:"):
        download(published, tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_a_busy_server_is_waited_for(server: Server, waits: list[float], tmp_path: Path) -> None:
    published = one_file(server, zipped({"a.csv": b"x"}))
    server.refusals["/set.zip"] = [(503, {}), (429, {})]
    download(published, tmp_path / "out")
    assert waits == [1, 2]


def test_a_refusal_is_not_repeated(server: Server, tmp_path: Path) -> None:
    published = Published("a", files=(RemoteFile("gone", f"{server.url}/gone"),))
    with pytest.raises(DatasetError, match="/gone answers HTTP 404 Not Found"):
        download(published, tmp_path / "out")
    assert server.asked == [("/gone", None)]


def test_no_server_is_a_clear_error(tmp_path: Path) -> None:
    published = Published("a", files=(RemoteFile("x", "http://127.0.0.1:9/x"),))
    with pytest.raises(DatasetError, match=r"Cannot download http://127\.0\.0\.1:9/x .*8 times"):
        download(published, tmp_path / "out")


def test_a_tampered_archive_is_refused_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    good = zipped(VOCALSKETCH)
    bad = good.replace(b"filename", b"fi1ename")
    published = publish(server, bad, described=good)
    with pytest.raises(DatasetError, match=r"does not have the checksum md5:.*removed"):
        download(published, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_published_truncated_is_refused_and_leaves_nothing(
    server: Server, tmp_path: Path
) -> None:
    published = publish(server, zipped(VOCALSKETCH)[:-500])
    with pytest.raises(DatasetError, match=r"v1\.0\.4\.zip is unsafe, damaged or cut short"):
        download(published, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_ends_early_never_becomes_a_data_set(
    server: Server, tmp_path: Path
) -> None:
    good = zipped(VOCALSKETCH)
    published = publish(server, good[:-500], described=good)
    with pytest.raises(DatasetError, match="does not have the checksum"):
        download(published, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_an_archive_that_climbs_out_leaves_nothing_outside_of_the_data_set(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "below").mkdir()
    published = publish(server, zipped(VOCALSKETCH | {"../../evil.wav": b"x"}))
    download(published, tmp_path / "below" / "set")
    expected = {f"below/set/{name.partition('/')[2]}" for name in VOCALSKETCH}
    assert set(files_below(tmp_path)) == expected


def test_a_full_disk_keeps_the_finished_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(archive: Path, folder: Path) -> None:
        (folder / "half.wav").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    published = publish(server, zipped(VOCALSKETCH))
    with monkeypatch.context() as patch:
        patch.setattr(archive_module, "unpack", full)
        with pytest.raises(StorageError, match=r"Cannot write .*set \(No space left on device\)"):
            download(published, tmp_path / "set")
    assert list(files_below(tmp_path)) == ["set.download/VocalSketch-v1.0.4.zip"]
    server.asked.clear()
    download(published, tmp_path / "set")
    assert server.asked == [(RECORD, None)]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_another_data_set_is_refused_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    published = publish(server, zipped({"set/other.csv": b"x"}))
    with pytest.raises(DatasetError, match=r"holds no sound_recordings\.csv"):
        download(published, tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match="choose another folder"):
        download(PUBLISHED["vocalsketch"], tmp_path)
    assert files_below(tmp_path) == {"mine.txt": b"mine"}


def test_a_folder_that_cannot_be_made_is_a_clear_error(server: Server, tmp_path: Path) -> None:
    published = publish(server, zipped(VOCALSKETCH))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"Cannot write .*file/set"):
        download(published, tmp_path / "file" / "set")


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
    server: Server, tmp_path: Path, answer: bytes, message: str
) -> None:
    server.files[RECORD] = answer
    with pytest.raises(DatasetError, match=message):
        download(Published("a.csv", server.url + RECORD), tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "top", "others"),
    [
        ("urbansound8k", "UrbanSound8K/", {"audio/fold1/a.wav": b"y"}),
        ("vimsketch", "Vim_Sketch_Dataset/", {"references/a.wav": b"y"}),
        ("vocal-imitation-set", "VocalImitationSet/", {"vocal_imitations/included/a.wav": b"y"}),
        ("qvim-dev", "", {"Items/Dog/a.wav": b"y", "Queries/Dog/b.wav": b"z"}),
    ],
)
def test_each_set_begins_where_its_own_table_lies(
    server: Server, tmp_path: Path, name: str, top: str, others: dict[str, bytes]
) -> None:
    content = {PUBLISHED[name].marker: b"x"} | others
    server.files["/set.zip"] = zipped({top + path: text for path, text in content.items()})
    file = RemoteFile("set.zip", f"{server.url}/set.zip")
    published = Published(PUBLISHED[name].marker, files=(file,))
    assert download(published, tmp_path / "set").fetched == 1
    assert files_below(tmp_path / "set") == content
    assert download(published, tmp_path / "set").fetched == 0


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
    server: Server, waits: list[float], tmp_path: Path
) -> None:
    publish_voxforge(server, "SpeechCorpus", SPEAKERS)
    publish_voxforge(server, "Dutch", {"anna-20080101-abc": 10})
    base = f"{server.url}/downloads/"
    done = download_voxforge(tmp_path, ["en", "nl"], 25, base_url=base)
    assert (done.fetched, done.present) == (4, 0)
    assert waits == [0.5] * 4
    english = sorted(path.name for path in (tmp_path / "en").iterdir())
    assert all((tmp_path / "en" / name / "wav").is_dir() for name in english)
    assert [name.partition("-")[0] for name in english] == ["ada", "bob", "cyd"]
    assert [path.name for path in (tmp_path / "nl").iterdir()] == ["anna-20080101-abc"]
    corpus = load_voxforge(tmp_path, ["en", "nl"], 25)
    assert len(corpus.clips) == 35


def test_voxforge_goes_on_behind_the_archives_that_are_there(
    server: Server, tmp_path: Path
) -> None:
    publish_voxforge(server, "SpeechCorpus", SPEAKERS)
    base = f"{server.url}/downloads/"
    download_voxforge(tmp_path, ["en"], 25, base_url=base)
    server.asked.clear()
    done = download_voxforge(tmp_path, ["en"], 45, base_url=base)
    assert (done.fetched, done.present) == (2, 3)
    assert len(server.asked) == 3  # the page and two archives
    again = download_voxforge(tmp_path, ["en"], 45, base_url=base)
    assert str(again) == f"Already in {tmp_path}: nothing was downloaded."


def test_voxforge_counts_what_was_extracted_and_fetches_it_no_more(
    server: Server, tmp_path: Path
) -> None:
    publish_voxforge(server, "fr", {"anne-20080101-abc": 10})
    (tmp_path / "fr/anne-20080101-abc/wav").mkdir(parents=True)
    (tmp_path / "fr/anne-20080101-abc/wav/1.wav").write_bytes(b"x")
    base = f"{server.url}/downloads/"
    done = download_voxforge(tmp_path, ["fr"], None, base_url=base)
    assert (done.fetched, done.present) == (0, 1)


def test_a_damaged_voxforge_archive_is_left_out_and_named(server: Server, tmp_path: Path) -> None:
    page = publish_voxforge(server, "Russian", {"ivan-20080101-abc": 3, "olga-20080101-abc": 3})
    bad = f"{page}ivan-20080101-abc.tgz"
    server.files[bad] = server.files[bad][:-30]
    base = f"{server.url}/downloads/"
    done = download_voxforge(tmp_path, ["ru"], None, base_url=base)
    assert done.damaged == ("ru/ivan-20080101-abc.tgz",)
    assert "damaged and left out: ru/ivan-20080101-abc.tgz" in str(done)
    assert [path.name for path in (tmp_path / "ru").iterdir()] == ["olga-20080101-abc"]


def test_a_voxforge_archive_cut_in_transit_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    page = publish_voxforge(server, "de", {"eva-20080101-abc": 3})
    server.cuts[f"{page}eva-20080101-abc.tgz"] = [50]
    base = f"{server.url}/downloads/"
    download_voxforge(tmp_path, ["de"], None, base_url=base)
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
    tmp_path: Path,
    languages: list[str],
    error: type[Exception],
    message: str,
) -> None:
    publish_voxforge(server, "it", {})
    with pytest.raises(error, match=message):
        download_voxforge(tmp_path, languages, base_url=f"{server.url}/downloads/")
    assert list(tmp_path.iterdir()) == []


def test_published_weights_are_fetched_once_and_another_hash_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WEIGHTS["mn10"].url.endswith("/releases/download/v0.0.1/mn10_as_mAP_471.pt")
    file = RemoteFile("mn10.pt", f"{server.url}/mn10.pt")
    server.files["/mn10.pt"] = b"weights" * 100
    server.cuts["/mn10.pt"] = [50]
    out = tmp_path / "kept" / "mn10.pt"
    out.parent.mkdir()
    monkeypatch.setitem(WEIGHTS, "mn10", file)
    assert main(["data", "download", "mn10", "--out", str(out)]) == 0
    assert server.asked[-1] == ("/mn10.pt", "bytes=50-")
    assert (out.read_bytes(), list(out.parent.iterdir())) == (b"weights" * 100, [out])
    assert str(download_file(file, out)).startswith("Already in")
    server.files["/mn10.pt"] = b"changed"
    with pytest.raises(DatasetError, match="mn10.pt from .* does not have the checksum"):
        download_file(file, tmp_path / "again.pt")
    assert not (tmp_path / "again.pt").exists()
