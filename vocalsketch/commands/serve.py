"""`vocalsketch serve`: a web page to search by voice, and its API."""

import argparse
import os
import sys
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.commands.actions import Options
from vocalsketch.errors import ConfigError, DatasetError

if TYPE_CHECKING:
    from vocalsketch.web.app import Pages
    from vocalsketch.web.server import Limits

EXAMPLES = 2  # imitations of each category of the synthetic sounds
SYNTHETIC = (
    "Synthetic sounds to try the page with: no sound and no voice here was recorded. "
    "`vocalsketch serve FOLDER` searches sounds of your own."
)
OTHERS = (
    "Warning: whoever reaches {} can use the page, hear the library's sounds and download them: "
    "there is no password. Browsers give the microphone only to pages of the same machine or over "
    "https."
)
SERVING: Options = {
    "--host": ("127.0.0.1", "what to listen on; any other than the default lets others in"),
    "--port": (7860, "0 for any"),
    "--allow-host NAME": ([str], "a name of the page, as behind a proxy; may be repeated"),
    "--root-path": ("", "where a proxy serves the page, such as /search"),
    "--max-seconds": (30.0, "of a recording"),
    "--max-megabytes": (20.0, "of a file"),
    "--open": (False, "open the page in a browser"),
}
OPTIONS: Options = {
    "libraries* LIBRARY": (
        Path,
        "a folder of sounds; its index is made and kept up to date in the cache folder. With "
        "neither a library nor an index, synthetic sounds are searched",
    ),
    "--index": ([str], "an index's folder, or the address of an export; may be repeated"),
    "--system": ("default", "of a library, what listens (default: what comes with the program)"),
    **SERVING,
}


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    limits, folders = limits_of(arguments), arguments.libraries
    for each in folders:
        if not each.is_dir():
            raise DatasetError(f"{each} is no folder of sounds: give one that is there.")

    def prepared() -> "Pages":
        from vocalsketch.web.app import Pages
        from vocalsketch.web.libraries import Libraries
        from vocalsketch.web.server import LOOPBACK

        local = arguments.host in LOOPBACK
        if folders or arguments.index:
            libraries = Libraries(arguments.index, folders, system=arguments.system)
            return Pages(libraries, limits, can_reveal=local)
        library, examples = _synthetic()
        libraries = Libraries((), [library], system=arguments.system)
        return Pages(libraries, limits, [SYNTHETIC], examples, local)

    return serve_page(arguments, prepared)


def limits_of(arguments: argparse.Namespace) -> "Limits":
    """Return what may be sent; a ConfigError says that what serves pages is not installed."""
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise ConfigError("The page needs FastAPI and uvicorn: `pip install 'vocalsketch[web]'`.")
    from vocalsketch.web.server import Limits

    return Limits(arguments.max_seconds, arguments.max_megabytes)


def serve_page(
    arguments: argparse.Namespace, prepared: Callable[[], "Pages"], page: str = ""
) -> int:
    """Serve what ``prepared`` returns, called when the port is taken, until Ctrl-C.

    The arguments are ``SERVING``; ``page`` is which to point to.
    """
    from vocalsketch.web.app import build_app
    from vocalsketch.web.server import LOOPBACK, allowed_hosts, bound_memory, listening, serve

    def announce(address: str) -> None:
        print(f"{address}{page}   (Ctrl-C ends it)", flush=True)
        if arguments.open:
            webbrowser.open(f"{address}{page}")

    with listening(arguments.host, arguments.port) as listener:
        if arguments.host not in LOOPBACK:
            print(OTHERS.format(arguments.host), file=sys.stderr)
        bound_memory()
        pages = prepared()
        hosts = allowed_hosts(arguments.host, arguments.allow_host)
        app = build_app(pages, hosts, arguments.root_path)
        pages.libraries.start()
        serve(app, listener, announce)
    return 0


def _synthetic() -> tuple[Path, dict[str, Path]]:
    """Return the folder of the demo corpus's sounds, and imitations by what they imitate."""
    from vocalsketch.datasets.open import open_corpus
    from vocalsketch.datasets.splits import make_split

    corpus = open_corpus("demo")
    held_out = set(make_split(corpus, "paper").validation_imitations)
    heard = {each.sound_id: each.path for each in corpus.imitations if each.id in held_out}
    examples: dict[str, Path] = {}
    for category in corpus.categories:
        sounds = [s for s in corpus.sounds if s.category == category and s.id in heard]
        examples |= {s.path.stem.replace("_", " "): heard[s.id] for s in sounds[:EXAMPLES]}
    folder = Path(os.path.commonpath([sound.path.parent for sound in corpus.sounds]))
    return folder, examples
