"""The page in a real browser: Chromium, with a microphone that plays a file."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, expect, sync_playwright
from playwright.sync_api import Page as Tab
from served_page import Page
from small_networks import RATE, chirp, write_sound

from vocalsketch.search import Index

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PATIENCE = 60_000  # milliseconds, on a busy machine

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
Opened = Callable[..., Tab]


@pytest.fixture(scope="module")
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
def opened(page: Page, browser: Browser) -> Iterator[Opened]:
    """Opens the page; in the end nothing went wrong and no other server was asked."""
    wrong: list[str] = []
    contexts = []

    def opens(width: int = 1200, scheme: str = "light") -> Tab:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            permissions=["microphone"],
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        tab = context.new_page()
        own = (page.address, "data:", "blob:", "about:")
        tab.on("request", lambda sent: sent.url.startswith(own) or wrong.append(sent.url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        tab.on(
            "console",
            # the picture of a sound that may not be served any more
            lambda said: (
                said.type == "error"
                and "swapped.wav" not in said.location["url"]
                and wrong.append(said.text)
            ),
        )
        tab.goto(page.address)
        tab.get_by_role("button", name="Record", exact=True).wait_for()
        return tab

    expect.set_options(timeout=PATIENCE)
    yield opens
    for context in contexts:
        context.close()
    assert wrong == []


def hits(tab: Tab) -> Locator:
    return tab.locator("#results .hit")


def uploaded(tab: Tab, file: Path) -> Tab:
    tab.get_by_role("button", name="Upload file").click()
    tab.locator("#recording input[type=file]").set_input_files(file)
    return tab


def test_what_is_sung_into_the_microphone_is_searched_and_played(opened: Opened) -> None:
    tab = opened()
    tab.get_by_role("button", name="Record", exact=True).click()
    tab.wait_for_timeout(1200)
    tab.get_by_role("button", name="Stop", exact=True).first.click()
    expect(hits(tab)).to_have_count(9)
    assert hits(tab).locator(".rank").all_inner_texts() == [str(rank) for rank in range(1, 10)]

    play = hits(tab).nth(0).locator(".play")
    play.click()
    expect(play).to_have_attribute("aria-pressed", "true")
    tab.wait_for_function("document.querySelector('.hit audio').currentTime > 0.1")
    hits(tab).nth(1).locator(".play").click()
    expect(play).to_have_attribute("aria-pressed", "false")  # one at a time


def test_a_file_is_searched_and_the_list_is_that_of_the_index(
    opened: Opened, sung: Path, indexes: list[Index]
) -> None:
    tab = uploaded(opened(), sung)
    expect(hits(tab)).to_have_count(9)
    expected = indexes[0].search(chirp(1, 0.7), RATE, k=10)
    found = [hit.get_attribute("data-path") for hit in hits(tab).all()]
    assert found == [hit.path for hit in expected]
    long = hits(tab).filter(has_text="long.wav")
    start = next(hit.start for hit in expected if hit.path == "long.wav")
    assert f"{start:g} s to" in long.locator(".where").inner_text()
    widths = [bar.bounding_box()["width"] for bar in tab.locator(".bar > span").all()]
    assert widths == sorted(widths, reverse=True)
    tab.wait_for_function("document.querySelector('.hit img').naturalWidth > 100")


def test_words_folders_and_system_narrow_at_once(opened: Opened, sung: Path) -> None:
    tab = uploaded(opened(), sung)
    expect(hits(tab)).to_have_count(9)
    tab.locator("#tags input").fill("drums")
    tab.keyboard.press("Enter")
    expect(hits(tab)).to_have_count(2)
    before = tab.locator(".figure").first.inner_text()
    tab.locator("#system").get_by_text("one + two").click()
    expect(tab.locator(".figure").first).not_to_have_text(before)
    deep, tight = (hits(tab).filter(has_text=name).locator(".figure") for name in ("deep", "tight"))
    fused = float(deep.inner_text().split()[-1]), tight.inner_text()
    tab.locator("#words textarea, #words input").fill("snare")
    tab.keyboard.press("Enter")
    expect(deep).not_to_have_text(f"likelihood {fused[0]:.2g}")
    assert float(deep.inner_text().split()[-1]) == pytest.approx(fused[0] / 10, rel=0.06)
    assert tight.inner_text() == fused[1]


def test_more_like_this_and_back(opened: Opened, sung: Path) -> None:
    tab = uploaded(opened(), sung)
    expect(hits(tab)).to_have_count(9)
    mine = tab.locator(".figure").all_inner_texts()
    tab.get_by_role("button", name="More like CarDoor.wav").click()
    heading = tab.get_by_role("heading", name="9 sounds like CarDoor.wav")
    expect(heading).to_be_focused()
    assert tab.locator(".figure").all_inner_texts() != mine
    tab.get_by_role("button", name="Back to your recording").click()
    expect(tab.get_by_role("heading", name="9 of 9 sounds")).to_be_visible()
    assert tab.locator(".figure").all_inner_texts() == mine


def test_why_this_one(opened: Opened, sung: Path) -> None:
    tab = uploaded(opened(), sung)
    tab.get_by_role("button", name="Why CarDoor.wav").click()
    why = tab.frame_locator("#explanation iframe")
    expect(why.get_by_role("heading", level=1)).to_have_text("Why CarDoor.wav for your recording")
    expect(why.locator("img")).to_have_count(2)
    tab.keyboard.press("Escape")
    expect(tab.locator("#explanation")).to_be_hidden()
    expect(tab.get_by_role("button", name="Why CarDoor.wav")).to_be_focused()


def test_everything_can_be_done_with_the_keyboard(opened: Opened) -> None:
    tab = opened()

    def tab_to(target: Locator) -> None:
        target.first.wait_for()
        for _ in range(60):
            if target.first.evaluate("node => node === document.activeElement"):
                return
            tab.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {target}")

    tab_to(tab.get_by_role("button", name="Record", exact=True))
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(1200)
    tab_to(tab.get_by_role("button", name="Stop", exact=True))
    tab.keyboard.press("Enter")
    expect(hits(tab)).to_have_count(9)
    first = hits(tab).first
    tab_to(first.locator(".play"))
    assert first.locator(".play").evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    tab.keyboard.press("Space")
    tab.wait_for_function("document.querySelector('.hit audio').currentTime > 0.05")
    tab_to(first.get_by_role("slider"))
    tab.keyboard.press("End")
    tab_to(first.get_by_role("button", name="More like"))
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="sounds like")).to_be_focused()
    tab_to(hits(tab).first.get_by_role("button", name="Why"))
    tab.keyboard.press("Enter")
    tab.frame_locator("#explanation iframe").locator("img").first.wait_for()
    tab.keyboard.press("Escape")
    expect(tab.locator("#explanation")).to_be_hidden()


def test_a_phone_shows_everything_in_its_width(opened: Opened, sung: Path) -> None:
    tab = uploaded(opened(width=360), sung)
    expect(hits(tab)).to_have_count(9)
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    expect(tab.locator("#results h2")).to_be_in_viewport()  # it was below the filters
    for button in hits(tab).first.get_by_role("button").all():
        box = button.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(opened: Opened, sung: Path, scheme: str) -> None:
    tab = uploaded(opened(scheme=scheme), sung)
    expect(hits(tab)).to_have_count(9)
    for place in ("#results h2", ".names h3", ".facts", ".figure", ".actions .quiet", ".legend"):
        colours = tab.locator(place).first.evaluate(COLOURS)
        text, ground = (np.array(each[:3]) for each in colours)
        assert (ground.mean() < 60) == (scheme == "dark")
        assert contrast(text, ground) >= 4.5, place  # WCAG 2.1, 1.4.3


COLOURS = """node => {
  const canvas = document.createElement('canvas').getContext('2d');
  const shown = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  let ground = node;
  while (shown(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
  return [shown(getComputedStyle(node).color), shown(getComputedStyle(ground).backgroundColor)];
}"""


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Return the ratio of two colours' relative luminances, as WCAG defines it."""

    def luminance(colour: np.ndarray) -> float:
        part = colour / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_bad_file_is_said_to_be_one(opened: Opened, tmp_path: Path) -> None:
    silent = write_sound(tmp_path / "silent.wav", np.zeros(RATE))
    tab = uploaded(opened(), silent)
    expect(tab.get_by_role("alert")).to_contain_text("The query is silent")


def test_a_page_of_strange_names_does_no_harm(opened: Opened, sung: Path) -> None:
    tab = uploaded(opened(), sung)
    strange = hits(tab).filter(has_text="onerror=alert(1)")
    expect(strange.locator("h3")).to_contain_text("${alert(2)} {{value}} &amp;")
    strange.get_by_role("button", name="More like").click()
    expect(tab.locator("#results h2 em")).to_contain_text("<img src=x onerror=alert(1)>")
