"""The page in a real browser: Chromium, with a microphone that plays a file."""

import re
from pathlib import Path

import numpy as np
import pytest
from chromium import Opened, hits, needed, until, uploaded
from playwright.sync_api import expect
from served_page import Page, served_page
from small_networks import RATE, chirp, write_library, write_sound

from vocalsketch.search import Index

pytestmark = needed


def test_what_is_sung_into_the_microphone_is_searched_and_played(
    page: Page, opened: Opened
) -> None:
    tab = opened(page)
    tab.get_by_role("button", name="Record").click()
    until(tab, "document.querySelector('#level').value > 0.05")
    tab.wait_for_timeout(900)
    tab.get_by_role("button", name="Stop").click()
    expect(hits(tab)).to_have_count(9)
    assert hits(tab).locator(".rank").all_inner_texts() == [str(rank) for rank in range(1, 10)]
    expect(tab.locator("#takes li")).to_have_count(1)
    play = hits(tab).nth(0).locator(".play")
    play.click()
    expect(play).to_have_attribute("aria-pressed", "true")
    until(tab, "document.querySelector('#player').currentTime > 0.05")
    hits(tab).nth(1).locator(".play").click()
    expect(play).to_have_attribute("aria-pressed", "false")  # one at a time


def test_a_file_is_searched_and_the_list_is_that_of_the_index(
    page: Page, opened: Opened, sung: Path, indexes: list[Index]
) -> None:
    tab = uploaded(opened(page), sung)
    expected = [hit.path.split("/")[-1] for hit in indexes[0].search(chirp(1, 0.7), RATE)]
    assert hits(tab).locator("h3").all_inner_texts() == expected  # also the hostile name, as text


def test_everything_works_by_keyboard(
    page: Page, opened: Opened, sung: Path, indexes: list[Index]
) -> None:
    tab = uploaded(opened(page), sung)
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    expect(hits(tab).nth(1)).to_have_class(re.compile("chosen"))
    tab.keyboard.press("f")
    expect(tab.locator("#favourite-count")).to_have_text("1")
    tab.keyboard.press("c")
    expect(tab.locator("#told")).to_contain_text("Copied")
    tab.keyboard.press("m")
    expect(tab.locator("#heading")).to_contain_text("sounds like")
    tab.get_by_role("button", name="Back to your recording").click()
    expect(tab.locator("#heading")).to_contain_text("of 9 sounds")
    tab.keyboard.press("/")
    tab.keyboard.type("door")
    worded = [
        hit.path.split("/")[-1] for hit in indexes[0].search(chirp(1, 0.7), RATE, text="door")
    ]
    expect(hits(tab).locator("h3")).to_have_text(worded)
    tab.reload()
    expect(tab.locator("#favourite-count")).to_have_text("1")  # kept in the browser


def test_an_explanation_is_shown(page: Page, opened: Opened, sung: Path) -> None:
    tab = uploaded(opened(page), sung)
    hits(tab).first.get_by_role("button", name="Why this one").click()
    frame = tab.frame_locator("#why iframe")
    expect(frame.locator("body")).to_contain_text("your recording")
    tab.keyboard.press("Escape")
    expect(tab.locator("#why")).not_to_be_visible()


def test_a_refused_recording_is_explained(page: Page, opened: Opened, sung: Path) -> None:
    silent = write_sound(sung.parent / "silent.wav", np.zeros(RATE))
    tab = opened(page)
    tab.locator("#upload").set_input_files(silent)
    expect(tab.get_by_role("alert")).to_contain_text("silent")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(page: Page, opened: Opened, sung: Path, scheme: str) -> None:
    tab = uploaded(opened(page, width=360, scheme=scheme), sung)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert tab.locator("#record").bounding_box()["height"] >= 44


def test_all_controls_have_names(page: Page, opened: Opened, sung: Path) -> None:
    tab = uploaded(opened(page), sung)
    unnamed = tab.evaluate(
        """[...document.querySelectorAll('button, input, select, a, meter, progress')]
        .filter((each) => each.offsetParent && !(each.getAttribute('aria-label')
          || each.textContent.trim() || each.labels?.length)).map((each) => each.outerHTML)"""
    )
    assert unnamed == []


def test_a_person_imitates_and_rates(opened: Opened, tmp_path: Path) -> None:
    sounds, out = write_library(tmp_path / "sounds"), tmp_path / "out"
    with served_page(
        tmp_path / "server", str(sounds), "--out", str(out), command="collect"
    ) as page:
        tab = opened(page, "collect.html")
        tab.get_by_label("I agree, and take part").check()
        tab.get_by_role("button", name="Begin").click()
        expect(tab.locator("#task-name")).to_contain_text("Sound 1 of")
        tab.get_by_role("button", name="Listen", exact=True).click()
        tab.get_by_role("button", name="Imitate").click()
        until(tab, "document.querySelector('#level').value > 0.05")
        tab.wait_for_timeout(700)
        tab.get_by_role("button", name="Stop").click()
        tab.get_by_label("fairly").check()
        tab.get_by_role("button", name="Next sound").click()
        expect(tab.locator("#task-name")).to_contain_text("Sound 2 of")
        tab.reload()  # the address in the bar goes on where it was
        expect(tab.locator("#task-name")).to_contain_text("Sound 2 of")
    assert len(list((out / "imitations").rglob("*.wav"))) == 1
