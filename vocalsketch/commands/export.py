"""`vocalsketch export`: a system as ONNX models, for programs without Python or torch."""

import argparse
from importlib.util import find_spec
from pathlib import Path

from vocalsketch.commands.actions import Options
from vocalsketch.errors import ConfigError

NEEDED = "onnx", "onnxscript"
OURS = "default", "contours"  # whose weights come with the program, under its licence


OPTIONS: Options = {
    "system": (str, "a checkpoint, a saved system, or the name of one that needs no training"),
    "--out! DIR": (Path, "a new folder"),
    "--precision": (
        ("float32", "float16", "int8"),
        "of the stored weights; what a lower one costs is measured",
    ),
    "--licence": (
        str,
        "of the weights, to be named in the models (default: what the system says)",
    ),
}


def run(arguments: argparse.Namespace) -> int:
    """Write the models, and print how far they are from the system."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"An export needs {', '.join(missing)}: `pip install 'vocalsketch[onnx]'`."
        )
    from vocalsketch.export.folder import export_system
    from vocalsketch.systems import load_system

    system = load_system(arguments.system)
    stated = system.provenance.get("licence", "MIT" if arguments.system in OURS else "not stated")
    measured = export_system(
        system,
        arguments.out,
        precision=arguments.precision,
        licence=arguments.licence or stated,
    )
    size = sum(file.stat().st_size for file in arguments.out.iterdir())
    print(f"{arguments.out}: {size / 1e6:.1f} MB, {arguments.precision}; {measured}")
    return 0
