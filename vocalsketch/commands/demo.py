"""`vocalsketch demo`: a web page to search by voice."""

import argparse
import signal
import sys
import threading
import webbrowser
from importlib.util import find_spec
from pathlib import Path

from vocalsketch.commands.actions import Options, add_options
from vocalsketch.errors import ConfigError

OPTIONS: Options = {
    "--index": (
        [Path],
        "an index's folder; may be given several times, each is a system to choose, and so is "
        "their fusion. Without one, a small network is trained and searched with on synthetic "
        "sounds, once",
    ),
    "--host": ("127.0.0.1", "what to listen on; any other than the default lets others in"),
    "--port": (7860, "of the page"),
    "--max-seconds": (30.0, "of a recording"),
    "--max-megabytes": (20.0, "of a file"),
    "--open": (False, "open the page in a browser"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_options(parser, OPTIONS)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    if find_spec("gradio") is None:
        raise ConfigError("The page needs gradio: `pip install 'vocalsketch[demo]'`.")
    from vocalsketch.web.limits import Limits
    from vocalsketch.web.server import LOOPBACK, check_address, serve, upload_folder

    limits = Limits(arguments.max_seconds, arguments.max_megabytes)
    check_address(arguments.host, arguments.port)
    if arguments.host not in LOOPBACK:
        warning = (
            f"Warning: whoever reaches {arguments.host} can use the page, hear the library's "
            "sounds and download them: there is no password. Browsers give the microphone only "
            "to pages of the same machine or over https."
        )
        print(warning, file=sys.stderr)
    from vocalsketch.web.finding import Finder
    from vocalsketch.web.memory import give_large_arrays_back
    from vocalsketch.web.page import build_page
    from vocalsketch.web.starter import NOTE, starter
    from vocalsketch.web.systems import LiveSystems, Systems

    give_large_arrays_back()
    folders, notes, examples = arguments.index, [], {}
    if not folders:
        start = starter()
        folders, notes, examples = [start.index], [NOTE], start.examples
    systems = LiveSystems(Systems.open(folders))
    with upload_folder() as folder:
        page = build_page(Finder(systems, limits), notes, examples)
        address = serve(page, systems, limits, arguments.host, arguments.port, folder)
        try:
            print(f"{address}   (Ctrl-C ends it)", flush=True)
            if arguments.open:
                webbrowser.open(address)
            _wait()
        finally:
            page.close(verbose=False)
    return 0


def _wait() -> None:
    """Wait for Ctrl-C, or for a service manager's wish to end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("The page is closed.", file=sys.stderr)
