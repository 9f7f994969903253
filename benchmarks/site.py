"""How long a search takes in the browser alone.

Makes a site as `vocalsketch export SYSTEM --library DIR --site OUT` does, of one sound, gives it so
many rows of random numbers in place of the library's, which take as long, serves it, and chooses a
made-up imitation of 4 s in a headless Chromium. Prints the time from that choice to the list of
results, the first time and the median and the longest of the others; and how long a first load
took, until it was ready to search.

    python benchmarks/site.py
    python benchmarks/site.py --system checkpoint.ckpt --sounds 100000
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import soundfile
from playwright.sync_api import Page, sync_playwright

from vocalsketch.systems import load_system
from vocalsketch.voice.imitate import imitate, listen
from vocalsketch.voice.people import anyone
from vocalsketch.web.site import export_site

RATE = 48_000  # hz, of what is recorded
WATCH = """() => {
  window.times = [];
  const [upload, hits] = ["#upload", "#hits"].map((each) => document.querySelector(each));
  let begun;
  upload.addEventListener("change", () => (begun = performance.now()), true);
  const listed = new MutationObserver(() => times.push(performance.now() - begun));
  listed.observe(hits, { childList: true });
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--system", default="default")
    parser.add_argument("--sounds", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        query = recording(folder)
        export_site(query.parent, load_system(arguments.system), folder / "site")
        fill(folder / "site", arguments.sounds)
        loaded, first, others = measured(folder / "site", query, arguments.rounds)
    print(
        f"{arguments.sounds:,} sounds, {arguments.system}: first load {loaded:.1f} s; from the "
        f"recording to the list {statistics.median(others):.0f} ms (median of {len(others)}; "
        f"longest {max(others):.0f}, first {first:.0f})"
    )


def recording(folder: Path) -> Path:
    """Write a synthesised imitation of a made-up sound, 4 s."""
    rng = np.random.default_rng(0)
    time_ = np.arange(4 * RATE) / RATE
    sound = np.sin(2 * np.pi * (200 + 100 * np.sin(2 * np.pi * time_)) * time_)
    file = folder / "library" / "imitation.wav"
    file.parent.mkdir()
    soundfile.write(file, imitate(listen(sound.astype(np.float32), RATE), anyone(rng), rng), 16_000)
    return file


def fill(site: Path, sounds: int) -> None:
    """Put random embeddings, of the width of those that are there, in place of the library's."""
    about = json.loads((site / "library.json").read_text())
    windows = len(about["windows"]["sound"])
    width = np.fromfile(site / "embeddings.f32", "<f4").size // windows
    random = np.random.default_rng(0).standard_normal((sounds, width), np.float32)
    random.astype("<f4").tofile(site / "embeddings.f32")
    name = about["sounds"]["path"][0]
    for number in range(10):  # to be drawn, as a library's would be
        shutil.copyfile(site / "sounds" / name, site / "sounds" / f"{number}.wav")
    about["sounds"] = {
        "path": [f"{number % 10}.wav" for number in range(sounds)],
        "duration": [4.0] * sounds,
        "sample_rate": [16_000] * sounds,
        "converted": [False] * sounds,
    }
    about["windows"] = {
        "sound": list(range(sounds)),
        "start": [0.0] * sounds,
        "end": [4.0] * sounds,
    }
    (site / "library.json").write_text(json.dumps(about))


def measured(site: Path, query: Path, rounds: int) -> tuple[float, float, list[float]]:
    """Return the seconds of a first load, and the milliseconds of the first and other searches."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = chromium.new_page()
        tab.set_default_timeout(120_000)
        begun = time.perf_counter()
        tab.goto(f"http://127.0.0.1:{server.server_port}/")
        tab.evaluate("import('./backend.js').then(({ backend }) => backend.ready)")
        loaded = time.perf_counter() - begun
        tab.evaluate(WATCH)
        times = [searched(tab, query, number) for number in range(1, rounds + 2)]
        chromium.close()
    server.shutdown()
    return loaded, times[0], times[1:]


class Quiet(SimpleHTTPRequestHandler):
    """Serves, and says nothing of it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def searched(tab: Page, query: Path, number: int) -> float:
    """Choose a file, wait for the list, and return the milliseconds between."""
    tab.locator("#upload").set_input_files(query)
    while tab.evaluate("times.length") < number:
        tab.wait_for_timeout(100)
    tab.wait_for_timeout(1000)  # what is drawn afterwards is not waited for
    return float(tab.evaluate("times.at(-1)"))


if __name__ == "__main__":
    main()
