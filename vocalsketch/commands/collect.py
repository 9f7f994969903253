"""`vocalsketch collect`: imitations by people, and a study of how they search."""

import argparse
import json
from pathlib import Path

from vocalsketch.commands.actions import Options
from vocalsketch.commands.serve import SERVING, limits_of, serve_page
from vocalsketch.errors import ConfigError
from vocalsketch.files import read_regular, write_text

OPTIONS: Options = {
    "sounds+": (
        Path,
        "the folder of sounds to imitate; `collect report DIR` says what DIR holds by now",
    ),
    "--out": (Path, "the corpus to write, which `fit` takes; continued if it is there"),
    "--consent": (Path, "a text file that participants agree to"),
    "--study": (Path, "a YAML file: search tasks after the imitations, and opinions"),
    **SERVING,
}


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, or report."""
    limits = limits_of(arguments)
    first, *others = arguments.sounds
    if str(first) == "report" and len(others) == 1:
        return _report(others[0])
    if others or arguments.out is None:
        raise ConfigError("Give one folder of SOUNDS and --out, or `collect report DIR`.")
    from vocalsketch.web.app import Pages
    from vocalsketch.web.collect import CONSENT, Collection
    from vocalsketch.web.libraries import Libraries
    from vocalsketch.web.study import Study, StudyPlan

    plan = StudyPlan.read(arguments.study) if arguments.study else None
    consent = _text(arguments.consent) if arguments.consent else CONSENT
    collection = Collection(first, arguments.out, limits, consent, plan is not None)
    libraries = Libraries((), [first] if plan else ())
    routers = [collection.router]
    if plan:
        routers.append(Study(plan, collection, libraries).router)
    pages = Pages(libraries, limits, others=routers)
    return serve_page(arguments, lambda: pages, "collect.html")


def _report(folder: Path) -> int:
    from pandas import DataFrame

    from vocalsketch.web.collect import read_participants
    from vocalsketch.web.study import figures

    found = figures(read_participants(folder))
    write_text(folder / "report.json", json.dumps(found, indent=2) + "\n")
    counts = ", ".join(f"{found[name]} {name}" for name in ("participants", "imitations", "tasks"))
    print(f"{counts}; 95 % bootstrap intervals over participants:")
    measured = {name: value for name, value in found.items() if isinstance(value, dict)}
    print(DataFrame(measured).T.to_string(float_format="{:.3f}".format))
    print(f"Saved in {folder / 'report.json'}")
    return 0


def _text(file: Path) -> str:
    try:
        return read_regular(file).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no text (UTF-8) that can be read: {error}") from error
