"""`vocalsketch serve`: a web page to search by voice, and its API."""

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from vocalsketch.errors import ConfigError, DatasetError

PORT = 7860
SYNTHETIC = (
    "Synthetic sounds to try the page with: no sound and no voice here was recorded. "
    "`vocalsketch serve FOLDER` searches sounds of your own."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "libraries",
        type=Path,
        nargs="*",
        metavar="LIBRARY",
        help="a folder of sounds; its index is made and kept up to date in the cache folder. With "
        "neither a library nor an index, synthetic sounds are searched",
    )
    parser.add_argument(
        "--index",
        type=Path,
        action="append",
        default=[],
        help="an index made by `vocalsketch index build`; may be given several times",
    )
    parser.add_argument(
        "--system",
        default="default",
        help="of a library, what listens (default: what comes with the program)",
    )
    add_serving_arguments(parser)


def add_serving_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how a page is served."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="what to listen on; any other than the default lets others in (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=PORT, help="0 for any (default: %(default)s)")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which the page is reached, as behind a proxy; may be repeated",
    )
    parser.add_argument(
        "--root-path", default="", help="where a proxy serves the page, such as /search"
    )
    parser.add_argument(
        "--max-seconds", type=float, default=30.0, help="of a recording (default: %(default)g)"
    )
    parser.add_argument(
        "--max-megabytes", type=float, default=20.0, help="of a file (default: %(default)g)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    require_web()
    from vocalsketch.web.app import build_app
    from vocalsketch.web.guard import Limits
    from vocalsketch.web.libraries import Libraries
    from vocalsketch.web.memory import give_large_arrays_back
    from vocalsketch.web.server import LOOPBACK, allowed_hosts, listening, serve

    limits = Limits(arguments.max_seconds, arguments.max_megabytes)
    folders = check_folders(arguments.libraries)
    with listening(arguments.host, arguments.port) as listener:
        warn_of_others(arguments.host)
        give_large_arrays_back()
        notes: list[str] = []
        examples: dict[str, Path] = {}
        if not folders and not arguments.index:
            from vocalsketch.web.synthetic import sounds_and_examples

            library, examples = sounds_and_examples()
            folders, notes = [library], [SYNTHETIC]
        libraries = Libraries(arguments.index, folders, system=arguments.system)
        app = build_app(
            libraries,
            limits,
            allowed_hosts(arguments.host, arguments.allow_host),
            arguments.root_path,
            notes,
            examples,
            reveal=arguments.host in LOOPBACK,
        )
        libraries.start()
        try:
            serve(app, listener, lambda address: announce(address, arguments.open))
        finally:
            libraries.close()
    return 0


def require_web() -> None:
    """Check that what serves pages is installed.

    Raises:
        ConfigError: It is not.
    """
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise ConfigError("The page needs FastAPI and uvicorn: `pip install 'vocalsketch[web]'`.")


def check_folders(folders: Sequence[Path]) -> list[Path]:
    """Return folders that are there.

    Raises:
        DatasetError: One is not.
    """
    for each in folders:
        if not each.is_dir():
            raise DatasetError(f"{each} is no folder of sounds: give one that is there.")
    return list(folders)


def warn_of_others(host: str) -> None:
    """Say who else can reach the page."""
    if host not in ("127.0.0.1", "localhost", "::1"):
        warning = (
            f"Warning: whoever reaches {host} can use the page, hear the library's sounds and "
            "download them: there is no password. Browsers give the microphone only to pages of "
            "the same machine or over https."
        )
        print(warning, file=sys.stderr)


def announce(address: str, open_it: bool) -> None:
    """Say where the page is."""
    print(f"{address}   (Ctrl-C ends it)", flush=True)
    if open_it:
        webbrowser.open(address)
