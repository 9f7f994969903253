"""Chromium as tests use it: where it is, how it is started, and what is looked for on the page."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator
from playwright.sync_api import Page as Tab

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
    "--autoplay-policy=no-user-gesture-required",
)
PATIENCE = 60_000  # milliseconds, on a busy machine

Opened = Callable[..., Tab]

needed = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")


def until(tab: Tab, expression: str) -> None:
    """Wait; by Playwright's own way a page would have to allow eval."""
    for _ in range(PATIENCE // 50):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(50)
    whole = expression.split(".then((count)")[0]
    raise AssertionError(f"never {expression}: {tab.evaluate(whole)}")


def hits(tab: Tab) -> Locator:
    return tab.locator("#hits .hit")


def uploaded(tab: Tab, file: Path) -> Tab:
    tab.locator("#upload").set_input_files(file)
    hits(tab).first.wait_for()
    return tab
