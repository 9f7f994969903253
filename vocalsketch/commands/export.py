"""`vocalsketch export`: a system as ONNX models, or a site that searches in the browser alone."""

import argparse
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocalsketch.commands.actions import Options
from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    from vocalsketch.systems import System

NEEDED = "onnx", "onnxscript"
OURS = "default", "contours"  # whose weights come with the program, under its licence


OPTIONS: Options = {
    "system": (str, "a checkpoint, a saved system, or the name of one that needs no training"),
    "--library DIR": (Path, "with --site, the folder of sounds"),
    "--audio": (("copy", "link"), "with --site, whether sounds are copied or linked to"),
    "--precision": (
        ("float32", "float16", "int8"),
        "of the stored weights; what a lower one costs is measured",
    ),
    "--licence": (
        str,
        "of the weights, to be named in the models (default: what the system says)",
    ),
}

ONE_OF = (
    {
        "--out DIR": (Path, "a new folder for the models"),
        "--site DIR": (
            Path,
            "a new folder for a site that searches --library, which any web server serves",
        ),
    },
)


def run(arguments: argparse.Namespace) -> int:
    """Write the models, or a site, and print what they came to."""
    if (arguments.library is None) != (arguments.site is None):
        raise ConfigError("--site and --library go together: a site searches one library.")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"An export needs {', '.join(missing)}: `pip install 'vocalsketch[onnx]'`."
        )
    from vocalsketch.export.folder import export_system
    from vocalsketch.systems import load_system

    system = load_system(arguments.system)
    stated = system.provenance.get("licence", "MIT" if arguments.system in OURS else "not stated")
    given = {"precision": arguments.precision, "licence": arguments.licence or stated}
    if arguments.site is not None:
        return _site(arguments, system, given)
    measured = export_system(system, arguments.out, **given)
    size = sum(file.stat().st_size for file in arguments.out.iterdir())
    print(f"{arguments.out}: {size / 1e6:.1f} MB, {arguments.precision}; {measured}")
    return 0


def _site(arguments: argparse.Namespace, system: "System", given: dict[str, Any]) -> int:
    from vocalsketch.web.site import export_site

    made = export_site(arguments.library, system, arguments.site, audio=arguments.audio, **given)
    print(
        f"{arguments.site}: {made.sounds:,} sounds, {made.bytes / 1e6:.1f} MB; "
        f"{made.converted:,} sounds that not every browser plays were converted to WAV; without a "
        f"network it searches{' and plays' if made.offline else ', and plays nothing'}. To try it: "
        f"{shlex.join(['python', '-m', 'http.server', '--directory', str(arguments.site)])}"
    )
    return 0
