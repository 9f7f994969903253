"""A site that searches in the browser alone, beside what Python finds."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from chromium import Opened, hits, needed, until, uploaded
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect
from small_networks import RATE, chirp, write_checkpoint, write_library, write_sound

from vocalsketch.cli import main
from vocalsketch.datasets import download
from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError, DatasetError, StorageError
from vocalsketch.export.folder import export_system
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.audio import ClipShape, clip_of, read_audio
from vocalsketch.models.encoder import EncoderGeometry
from vocalsketch.search import Index
from vocalsketch.search.library import index_of
from vocalsketch.search.query import heard_part, prepared
from vocalsketch.systems import System, load_system
from vocalsketch.systems.baselines import Contours
from vocalsketch.systems.dual_encoder import DualEncoder
from vocalsketch.web import site
from vocalsketch.web.site import export_site, registry

ROUNDING = 1e-3  # of the deviation of a query's scores


@dataclass(frozen=True)
class Made:
    """A site below a folder that is served, and the index that it was made of."""

    root: Path
    index: Index
    address: str = ""

    @property
    def folder(self) -> Path:
        return self.root / "a b" / "site"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@contextmanager
def served(made: Made) -> Iterator[Made]:
    """Serve the folder around the site, as plainly as a web server can."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=made.root))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/a%20b/site/"
        yield Made(made.root, made.index, address)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def dual() -> DualEncoder:
    torch.manual_seed(0)
    geometry = EncoderGeometry((4, 6), places=4, width=8)
    ends = dict.fromkeys(SIDES, AudibleMel(seconds=1.0, bands=16))
    return DualEncoder(ends, geometry, frames=40).eval()


def quick(patch: pytest.MonkeyPatch) -> None:
    """Compare the models with the system on few clips: that is tested elsewhere."""
    patch.setattr(site, "export_system", partial(export_system, clips=2))


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a site without what comes from npm and without a browser."""

    def placeholders(folder: Path) -> None:
        folder.mkdir()
        for name in site.RUNTIME_FILES.values():
            (folder / name).write_text("")

    monkeypatch.setattr(site, "_add_runtime", placeholders)
    monkeypatch.setattr(site, "export_system", fake_models)


def fake_models(_: System, out: Path, **__: Any) -> None:
    out.mkdir()
    for name in ("metadata.json", "imitation.onnx", "score.onnx"):
        (out / name).write_text("{}")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_library(tmp_path_factory.mktemp("library") / "sounds")
    return write_sound(root / "odd #1" / "100% 'wow'? (ü).wav", chirp(6)).parents[1]


Make = Callable[[System], Made]


@pytest.fixture(scope="module")
def make(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Makes sites with onnxruntime-web, which is downloaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOCALSKETCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(download, "RETRIES", 1)
        quick(patch)

        def made(system: System) -> Made:
            root = tmp_path_factory.mktemp("www")
            try:
                export_site(library, system, root / "a b" / "site")
            except DatasetError as error:
                pytest.skip(f"onnxruntime-web cannot be had: {error}")
            return Made(root, Index.open(index_of(library, system.fingerprint), threads=1))

        yield made


@pytest.fixture(scope="module")
def made(make: Make) -> Iterator[Made]:
    """The site of a system whose scores are inner products, and which cuts silence."""
    with served(make(dual())) as made:
        yield made


@pytest.fixture(scope="module")
def headed(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The site of a system that scores with a network: IMINET."""
    file = write_checkpoint(tmp_path_factory.mktemp("system") / "net.ckpt")
    with served(make(load_system(file))) as made:
        yield made


def sung(number: int, rate: int = 48_000) -> np.ndarray:
    """An imitation with silence at its ends, which is cut."""
    quiet = np.random.default_rng(0).normal(0, 1e-4, (2, rate // 2))
    return np.concatenate([quiet[0], chirp(number, 0.6, rate), quiet[1]])


def asked(tab: Tab, file: Path, **wish: Any) -> dict[str, Any]:
    """Search with the page's own backend."""
    found: dict[str, Any] = tab.evaluate(
        """async ([bytes, wish]) => {
          const { backend } = await import("./backend.js");
          return backend.search(new URLSearchParams(wish), new Blob([new Uint8Array(bytes)]));
        }""",
        [list(file.read_bytes()), [[key, str(value)] for key, value in wish.items()]],
    )
    return found


def assert_same(found: dict[str, Any], index: Index, query: tuple[Any, int], **wish: Any) -> None:
    """Compare with what the index finds: paths in their order, windows, scores, likelihoods."""
    expected = index.search(*query, k=100, **wish)
    scores = {hit.path: hit.score for hit in expected}
    assert {hit["path"] for hit in found["hits"]} == set(scores)
    near = ROUNDING * np.std(list(scores.values()))
    for hit, other in zip(found["hits"], expected, strict=True):
        assert hit["path"] == other.path or abs(scores[hit["path"]] - other.score) < near
        assert abs(hit["score"] - scores[hit["path"]]) < near
        assert hit["probability"] == pytest.approx(other.probability, rel=0.01, abs=1e-6)
        assert hit["start"] == other.start or hit["path"] != other.path


@needed
@pytest.mark.parametrize("which", ["made", "headed"])
def test_the_ranks_are_the_servers(
    which: str, request: pytest.FixtureRequest, opened: Opened, tmp_path: Path
) -> None:
    made: Made = request.getfixturevalue(which)
    tab, seconds = opened(made), made.index.system.front_ends["imitation"].seconds
    for number, rate in ((1, 48_000), (3, 44_100), (5, 11_127)):
        file = write_sound(tmp_path / f"{number}.wav", sung(number, rate), rate)
        query = read_audio(file)
        found = asked(tab, file, count=100)
        assert_same(found, made.index, query)
        assert found["heard"]["note"] == heard_part(*query, seconds=seconds).note
    assert_same(asked(tab, file, count=100, words="door"), made.index, query, text="door")
    assert_same(asked(tab, file, count=100, folder="drums"), made.index, query, tags=["drums"])
    like = asked(tab, file, count=100, like="long.wav", start=2)
    assert_same(like, made.index, read_audio(made.index.library / "long.wav", offset=2.0))


@needed
def test_clips_are_pythons(made: Made, opened: Opened, tmp_path: Path) -> None:
    tab = opened(made)
    shape = ClipShape(16_000, 1.0, 30.0)
    stereo = np.stack([sung(2, 44_100), 0.2 * sung(2, 44_100) + 0.05], axis=1)
    cancelling = np.stack([sung(2), -0.999 * sung(2)], axis=1)
    files = [
        write_sound(tmp_path / "stereo.wav", stereo, 44_100),
        write_sound(tmp_path / "cancelling.flac", cancelling, 48_000),
        write_sound(tmp_path / "vorbis.ogg", sung(3, 22_050), 22_050),
        write_sound(tmp_path / "clicks.wav", sung(4, 8_000) + 0.4 * (np.arange(12_800) == 99)),
    ]
    for file, ensemble in product(files, (True, False)):
        waveform, rate = read_audio(file)
        clip, own = prepared(waveform, rate), rate
        if ensemble:
            clip, own = clip_of(clip, rate, ClipShape(16_000, 1.0, None)), 16_000
        clip = clip_of(clip, own, shape)
        told = {"sample_rate": 16_000, "seconds": 1.0, "samples": 16_000, "trim": 30.0}
        found = tab.evaluate(
            """async ([bytes, shape, ensemble]) => {
              const { clipOf, decoded, prepared } = await import("./hearing.js");
              const { waveform, rate } = await decoded(new Blob([new Uint8Array(bytes)]), "it");
              return [rate, [...clipOf(prepared(waveform, rate, 1).audio, rate, shape, ensemble)]];
            }""",
            [list(file.read_bytes()), told, ensemble],
        )
        assert found[0] == rate
        heard = np.array(found[1]) * np.abs(clip).max() / np.abs(found[1]).max()
        assert np.square(heard - clip).mean() < 1e-5 * np.square(clip).mean(), file.name


@needed
def test_it_works_offline_after_the_first_load(made: Made, opened: Opened, tmp_path: Path) -> None:
    file = write_sound(tmp_path / "sung.wav", sung(2), 48_000)
    with served(made) as own:
        tab = opened(own)
        # to open a cache makes it: none is opened before the page has its own
        kept = (
            "caches.keys().then(async ([name]) => "
            "name ? (await (await caches.open(name)).keys()).length : 0)"
        )
        whole = len(own.index.paths()) + 15
        until(tab, f"{kept}.then((count) => count === {whole})")
    tab.reload()  # nobody serves it any more
    uploaded(tab, file)
    expected = [hit.path.split("/")[-1] for hit in made.index.search(*read_audio(file))]
    assert hits(tab).locator("h3").all_inner_texts() == expected
    long = hits(tab).filter(has=tab.get_by_role("heading", name="long.wav"))
    long.locator(".play").click()
    until(tab, "document.querySelector('#player').currentTime > 0.05")
    start = next(
        hit.start for hit in made.index.search(*read_audio(file)) if hit.path == "long.wav"
    )
    assert tab.evaluate("document.querySelector('#player').currentTime") >= start
    odd = hits(tab).filter(has_text="100%")
    odd.locator(".play").click()
    until(tab, "document.querySelector('#player').duration > 0.4")
    expect(hits(tab).locator("canvas[aria-label^='100%']")).to_be_visible()


@needed
def test_what_it_does_not_offer_is_not_shown(made: Made, opened: Opened, tmp_path: Path) -> None:
    tab = uploaded(opened(made), write_sound(tmp_path / "sung.wav", sung(2), 48_000))
    for name in ("Why this one", "Show in folder"):
        expect(hits(tab).first.get_by_text(name)).to_be_hidden()
    expect(tab.locator("#aspects")).to_be_hidden()
    expect(tab.locator("#notes")).to_contain_text("not sent anywhere")


@needed
def test_what_goes_wrong_is_told(made: Made, opened: Opened, tmp_path: Path) -> None:
    tab = opened(made)
    for waveform, told in ((np.zeros(RATE), "silent"), (sung(1)[:80], "too short")):
        tab.locator("#upload").set_input_files(write_sound(tmp_path / "x.wav", waveform))
        expect(tab.get_by_role("alert")).to_contain_text(told)
    (tmp_path / "x.wav").write_bytes(b"RIFF no sound")
    tab.locator("#upload").set_input_files(tmp_path / "x.wav")
    expect(tab.get_by_role("alert")).to_contain_text("cannot be decoded by this browser")


@needed
def test_a_browser_without_webassembly_is_told(made: Made, opened: Opened, tmp_path: Path) -> None:
    tab = opened(made, before="delete globalThis.WebAssembly")
    expect(tab.locator("#notes")).to_contain_text("This browser has no WebAssembly")
    file = write_sound(tmp_path / "sung.wav", sung(2), 48_000)
    tab.locator("#upload").set_input_files(file)
    expect(tab.get_by_role("alert")).to_contain_text("This browser has no WebAssembly")


def test_sounds_that_not_every_browser_plays_are_converted(
    library: Path, tmp_path: Path, untouched: None
) -> None:
    report = export_site(library, dual(), tmp_path / "site")
    assert (report.sounds, report.converted, report.offline) == (7, 1, True)
    converted = tmp_path / "site" / "converted" / "House" / "door slam.aiff.wav"
    heard, rate = soundfile.read(converted)
    assert (len(heard), rate) == (RATE // 2, RATE)
    copied = tmp_path / "site" / "sounds" / "long.wav"
    assert copied.read_bytes() == (library / "long.wav").read_bytes()
    told = json.loads((tmp_path / "site" / "library.json").read_text())
    assert told["sounds"]["path"] == sorted(told["sounds"]["path"])
    assert [told["sounds"]["path"][n] for n in told["windows"]["sound"]].count("long.wav") == 3
    embeddings = np.fromfile(tmp_path / "site" / "embeddings.f32", "<f4").reshape(
        len(told["windows"]["sound"]), -1
    )
    index = Index.open(index_of(library, dual().fingerprint))
    rows = {(row["path"], row["start"]): n for n, row in enumerate(index.table.live.to_pylist())}
    for n, (sound, start) in enumerate(
        zip(told["windows"]["sound"], told["windows"]["start"], strict=True)
    ):
        row = rows[told["sounds"]["path"][sound], start]
        assert np.array_equal(embeddings[n], index.table.embeddings(np.array([row]))[0])


def test_sounds_can_be_linked_to(library: Path, tmp_path: Path, untouched: None) -> None:
    export_site(library, dual(), tmp_path / "site", audio="link")
    link = tmp_path / "site" / "sounds" / "long.wav"
    assert link.is_symlink()
    assert link.resolve() == (library / "long.wav").resolve()


def test_many_sounds_are_left_to_the_network(
    library: Path, tmp_path: Path, untouched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "KEPT", 1000)
    assert not export_site(library, dual(), tmp_path / "site").offline
    first = (tmp_path / "site" / "service-worker.js").read_text().splitlines()[0]
    kept = json.loads(first.removeprefix("const SITE = ").removesuffix(";"))
    assert kept["sounds"] == []
    assert all((tmp_path / "site" / file).exists() for file in kept["files"])


@pytest.mark.parametrize(
    ("where", "error", "told"),
    [("there", StorageError, "exists"), ("sounds/site", ConfigError, "found as sounds")],
)
def test_a_folder_that_cannot_be_used_is_refused(
    where: str, error: type[Exception], told: str, tmp_path: Path, untouched: None
) -> None:
    (tmp_path / "there").mkdir()
    library = write_library(tmp_path / "sounds")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=told):
        export_site(library, dual(), tmp_path / where)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_left_of_a_site_that_could_not_be_made(
    library: Path, tmp_path: Path, untouched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise ConfigError("Contours cannot be exported because of Numpyish: numpy.")

    monkeypatch.setattr(site, "export_system", refused)
    with pytest.raises(ConfigError, match="because of Numpyish"):
        export_site(library, Contours.untrained(), tmp_path / "site")
    assert list(tmp_path.iterdir()) == []


def test_without_onnxruntime_web_nothing_is_written(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "RETRIES", 0)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/npm/")
    with pytest.raises(
        DatasetError, match="Cannot download http://127.0.0.1:9/npm/onnxruntime-web/"
    ):
        export_site(library, dual(), tmp_path / "site")
    assert list(tmp_path.iterdir()) == []


def test_the_registry_is_npms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.lower().startswith("npm_config_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registry() == "https://registry.npmjs.org"
    (tmp_path / ".npmrc").write_text("fund=false\nregistry = https://mirror.example/npm/\n")
    assert registry() == "https://mirror.example/npm"
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:4873")
    assert registry() == "http://127.0.0.1:4873"


def test_the_command_needs_both(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["export", "contours", "--site", str(tmp_path / "site")]) == 1
    assert "--site and --library go together" in capsys.readouterr().err
