"""Whoever asks the server first is served first, whatever is asked for."""

from functools import partial
from pathlib import Path

import anyio
import pytest

from vocalsketch.web.app import Pages
from vocalsketch.web.libraries import Libraries
from vocalsketch.web.searching import Place
from vocalsketch.web.server import Limits


def test_a_search_waits_for_the_pictures_of_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vocalsketch.web.app.available_cores", lambda: 1)
    monkeypatch.setattr(Pages, "_file", lambda *_: tmp_path)
    monkeypatch.setattr("vocalsketch.web.app._picture", lambda *_: work("picture"))
    pages = Pages(Libraries(), Limits())
    served: list[str] = []
    free = anyio.Event()

    def work(name: str) -> bytes:
        if name == "first search":
            anyio.from_thread.run(free.wait)
        served.append(name)
        return b""

    async def visitors() -> None:
        asked = [
            partial(pages._in_turn, partial(work, "first search")),
            partial(pages.spectrogram, Place(path="a.wav")),
            partial(pages._in_turn, partial(work, "second search")),
        ]
        async with anyio.create_task_group() as group:
            for waiting, ask in enumerate(asked):
                group.start_soon(ask)
                while pages.turns.statistics().tasks_waiting < waiting or not (
                    pages.turns.borrowed_tokens
                ):
                    await anyio.sleep(0)
            free.set()

    anyio.run(visitors)
    assert served == ["first search", "picture", "second search"]
