"""Serving the page, on the loopback address unless another is asked for."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from vocalsketch.errors import ConfigError
from vocalsketch.web.guard import Guard
from vocalsketch.web.limits import Limits
from vocalsketch.web.sounds import CLIP, SOUND, SPECTROGRAM, Sounds
from vocalsketch.web.systems import LiveSystems
from vocalsketch.web.uploads import Uploads

LOOPBACK = ("127.0.0.1", "localhost", "::1")
STYLE = Path(__file__).parent / "page.css"
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONOSPACED = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


@contextmanager
def upload_folder() -> Iterator[Path]:
    """Yield the folder for what visitors send; it is removed in the end.

    gradio asks the environment for it when components are made: make the page within.
    """
    with tempfile.TemporaryDirectory(
        prefix="vocalsketch-demo-", ignore_cleanup_errors=True
    ) as root:
        folder = Path(root).resolve()
        settings = {
            "GRADIO_TEMP_DIR": str(folder),
            "GRADIO_EXAMPLES_CACHE": str(folder / "examples"),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_ANALYTICS_MAX_EVENTS": "100",  # requests that gradio remembers
            "HF_HUB_OFFLINE": "1",
        }
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        try:
            yield folder
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def serve(
    page: gr.Blocks, systems: LiveSystems, limits: Limits, host: str, port: int, uploads: Path
) -> str:
    """Start serving the page in threads of its own, until it is closed; return its address.

    Raises:
        ConfigError: The port is in use, or the host is none of this machine's.
    """
    check_address(host, port)
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            app_kwargs=_application(systems, limits, host, _watched(page, uploads)),
            max_file_size=limits.bytes,
            theme=_theme(),
            css_paths=STYLE,
            prevent_thread_lock=True,
            quiet=True,
            inline=False,
            share=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            run_history=False,
            show_error=True,
            footer_links=[],
        )
    except OSError as error:  # taken in the meantime
        raise _unusable(host, port, error) from error
    return str(address)


def check_address(host: str, port: int) -> None:
    """Check that a host and port can be listened on.

    Raises:
        ConfigError: The port is in use or out of range, or the host is none of this machine's.
    """
    if not 1 <= port <= 65_535:
        raise ConfigError(f"--port is {port}: give 1 to 65535.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        raise _unusable(host, port, error) from error


def _unusable(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError(
        f"{host}, port {port}, cannot be listened on ({error.strerror or error}): give a --port "
        "that is free, and a --host of this machine."
    )


def _watched(page: gr.Blocks, folder: Path) -> Uploads:
    """Return the folder of uploads; gradio is to forget what is removed from it."""

    def forget(removed: set[str]) -> None:
        for names in page.temp_file_sets:
            names.difference_update(removed)

    return Uploads(folder, forget=forget)


def _application(
    systems: LiveSystems, limits: Limits, host: str, uploads: Uploads
) -> dict[str, Any]:
    guard = Middleware(
        Guard,
        own=(CLIP, SPECTROGRAM, SOUND),
        upload=limits.bytes,
        too_long=f"Too large: at most {limits.megabytes:g} MB are taken.",
        before_upload=uploads.make_room,
    )
    middleware = [guard]
    if host in LOOPBACK:  # a name of another site's that leads here is not answered
        names = ["localhost", "127.0.0.1", "[::1]"]
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=names))
    return {"middleware": middleware, "routes": Sounds(systems).routes()}


def _theme() -> gr.themes.Base:
    return gr.themes.Default(
        primary_hue=gr.themes.colors.violet,
        secondary_hue=gr.themes.colors.violet,
        neutral_hue=gr.themes.colors.zinc,
        font=FONT,
        font_mono=MONOSPACED,
    )
