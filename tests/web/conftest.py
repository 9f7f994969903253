"""A page over a small library with traps in it, served once for all tests."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import CHROMIUM, FLAGS, PATIENCE, Opened
from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Page as Tab
from served_page import Page, indexed, served_page
from small_networks import chirp, write_checkpoint, write_library, write_sound

from vocalsketch.search import Index, build_index

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{value}} &amp; '\".wav"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with two indexes, a secret beside it, and a file that became a way out."""
    root = tmp_path_factory.mktemp("page")
    library = write_library(root / "library")
    write_sound(library / "odd" / HOSTILE, chirp(6))
    stereo = np.stack([chirp(7, 0.5, 44_100), 0.5 * chirp(3, 0.5, 44_100)], axis=1)
    write_sound(library / "odd" / "stereo.wav", stereo, 44_100)
    write_sound(library / "odd" / "swapped.wav", chirp(8))
    for seed, name in enumerate(("one", "two")):
        checkpoint = write_checkpoint(root / f"{name}.ckpt", seed=seed)
        build_index(library, root / name, checkpoint, jobs=1, progress=False)
    write_sound(root / "secret.wav", chirp(9))
    (library / "odd" / "swapped.wav").unlink()
    (library / "odd" / "swapped.wav").symlink_to(root / "secret.wav")
    write_sound(library / "new, not indexed.wav", chirp(5))
    return root


@pytest.fixture(scope="session")
def indexes(root: Path) -> list[Index]:
    return [Index.open(root / name, threads=1) for name in ("one", "two")]


@pytest.fixture(scope="session")
def page(root: Path) -> Iterator[Page]:
    """The served page; at most 2 s and 0.5 MB may be sent."""
    limits = ("--max-seconds", "2", "--max-megabytes", "0.5")
    indexes = indexed([root / "one", root / "two"])
    with served_page(root / "server", *indexes, *limits) as page:
        yield page
    assert page.process.exitcode == 0


@pytest.fixture(scope="session")
def sung(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sung") / "sung.wav", chirp(1, 0.7))


@pytest.fixture(scope="module")
def browser(sung: Path) -> Iterator[Browser]:
    """The microphone hears the same imitation again and again."""
    louder = write_sound(sung.parent / "microphone.wav", np.tile(chirp(1, 1.0, 48_000), 4), 48_000)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={louder}"],
        )


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens a page; in the end nothing went wrong and no other server was asked."""
    wrong: list[str] = []
    contexts = []

    def opens(
        page: Page, path: str = "", width: int = 1200, scheme: str = "light", before: str = ""
    ) -> Tab:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            permissions=["microphone", "clipboard-write", "clipboard-read"],
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(before)
        tab = context.new_page()
        own = (page.address, "data:", "blob:", "about:")
        tab.on("request", lambda sent: sent.url.startswith(own) or wrong.append(sent.url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        tab.on(
            "console",
            # the picture of a sound that may not be served any more; refused recordings
            lambda said: (
                said.type == "error"
                and "swapped.wav" not in said.location["url"]
                and "/api/search" not in said.location["url"]
                and wrong.append(said.text)
            ),
        )
        tab.goto(page.address + path)
        return tab

    expect.set_options(timeout=PATIENCE)
    yield opens
    for context in contexts:
        context.close()
    assert wrong == []
