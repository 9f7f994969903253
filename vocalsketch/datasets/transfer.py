"""Files fetched over HTTP: one at a time, resumed where they stopped, retried with patience."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import requests
import urllib3
from tqdm import tqdm

from vocalsketch import __version__
from vocalsketch.errors import DatasetError, StorageError

USER_AGENT = f"vocalsketch/{__version__} (downloads of research data sets)"
LONGEST_WAIT = 60.0  # seconds between attempts
_BLOCK = 2**16  # bytes
_TRANSIENT = (requests.RequestException, urllib3.exceptions.HTTPError)
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses
_T = TypeVar("_T")


class Transfer:
    """Fetches over HTTP, one connection at a time.

    Args:
        attempts: How often an address is tried in a row without one new byte arriving.
        timeout: Seconds without an answer after which an attempt has failed.
        sleep: Waits for some seconds.
        progress: Whether a progress bar is shown for each file.
    """

    def __init__(
        self,
        *,
        attempts: int = 5,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
        progress: bool = True,
    ) -> None:
        self.attempts = attempts
        self.timeout = timeout
        self.sleep = sleep
        self.progress = progress
        self._session = requests.Session()
        # A server that packs an answer would shift the offsets from which a file is resumed.
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})

    def __enter__(self) -> "Transfer":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def text(self, url: str) -> str:
        """Fetch a page.

        Raises:
            DatasetError: The address cannot be reached or refuses.
        """

        def attempt() -> str:
            with self._session.get(url, timeout=self.timeout) as response:
                _require_success(response)
                return response.text

        return self._patiently(url, attempt, lambda: 0)

    def fetch(self, url: str, part: Path, size: int | None = None) -> None:
        """Fetch a file into ``part``, going on behind what ``part`` already holds.

        Args:
            url: The address.
            part: Where the bytes go. It is kept when the connection fails, to be gone on with.
            size: The file's size in bytes, where known.

        Raises:
            DatasetError: The address cannot be reached or refuses, or the size is another.
            StorageError: ``part`` cannot be written.
        """
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            self._patiently(url, lambda: self._go_on(url, part, size), lambda: _length(part))
        except OSError as error:
            raise StorageError(
                f"Cannot write {part} ({error.strerror or error}): check the folder and the space "
                "left. What has arrived is kept: run again to go on."
            ) from error

    def _patiently(self, url: str, attempt: Callable[[], _T], arrived: Callable[[], int]) -> _T:
        """Call ``attempt`` until it succeeds; getting further than ever starts a new count."""
        failures, furthest = 0, arrived()
        while True:
            try:
                return attempt()
            except _TRANSIENT as error:
                reached = arrived()
                failures = 1 if reached > furthest else failures + 1
                furthest = max(furthest, reached)
                if failures >= self.attempts:
                    raise DatasetError(
                        f"Cannot download {url} ({error}), tried {failures} times. "
                        "Check the connection and run again: it goes on where it stopped."
                    ) from error
                self.sleep(_wait(failures, error))

    def _go_on(self, url: str, part: Path, size: int | None) -> None:
        offset = _length(part)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with self._session.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                end = response.headers.get("Content-Range", "").removeprefix("bytes */")
                if str(offset) == (end if size is None else str(size)):
                    return
                part.unlink()
                raise requests.HTTPError(f"{part.name} was no part of this file; starting over")
            _require_success(response)
            resumed = response.status_code == requests.codes.partial_content
            if resumed and not response.headers["Content-Range"].startswith(f"bytes {offset}-"):
                raise requests.HTTPError("the server sent another range than was asked for")
            self._save(response, part, offset if resumed else 0)
        _require_size(part, size)

    def _save(self, response: requests.Response, part: Path, offset: int) -> None:
        total = offset + int(response.headers.get("Content-Length", 0))
        with (
            part.open("ab" if offset else "wb") as file,
            tqdm(
                desc=part.stem,
                initial=offset,
                total=total or None,
                unit="B",
                unit_scale=True,
                leave=False,
                disable=not self.progress,
            ) as bar,
        ):
            # Not decoded: some servers label a .tgz as a packed .tar, which would be unpacked.
            for block in response.raw.stream(_BLOCK, decode_content=False):
                bar.update(file.write(block))


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _require_success(response: requests.Response) -> None:
    if response.status_code in _TRY_AGAIN:
        raise requests.HTTPError(f"HTTP {response.status_code}", response=response)
    if not response.ok:
        raise DatasetError(
            f"{response.url} answers HTTP {response.status_code} {response.reason}: "
            "check that the data set is still offered there."
        )


def _require_size(part: Path, size: int | None) -> None:
    length = _length(part)
    if size is None or length == size:
        return
    if length > size:
        part.unlink()
        raise DatasetError(f"{part.name} has {length} bytes where {size} were announced: removed.")
    raise requests.ConnectionError(f"{length} of {size} bytes arrived")


def _wait(failures: int, error: Exception) -> float:
    """Return the seconds until the next attempt: what the server asks for, else 1, 2, 4, ..."""
    response = error.response if isinstance(error, requests.RequestException) else None
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(asked) if asked.isdecimal() else 2.0 ** (failures - 1), LONGEST_WAIT)
