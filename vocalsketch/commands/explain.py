"""`vocalsketch explain`: what in a query and in a sound made the network score them so."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("query", type=Path, metavar="QUERY", help="a vocal imitation's audio file")
    parser.add_argument("sound", type=Path, metavar="SOUND", help="a sound's audio file")
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="of a trained IMINET or TL-IMINET"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print the score."""
    from vocalsketch.files import write_text
    from vocalsketch.interpret.explanation import explain
    from vocalsketch.retrieval.results import corpus_tag
    from vocalsketch.systems import load_system

    trained = load_system(arguments.checkpoint)
    html, found = explain(trained, arguments.query, arguments.sound)
    target = arguments.out / "explanation.html"
    write_text(target, html)
    print(f"likelihood {found.probability:.3f} ({corpus_tag(trained.corpus)}): {target}")
    return 0
