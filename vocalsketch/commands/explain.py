"""`vocalsketch explain`: what in a query and in a sound made a system score them so."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    system = "a checkpoint, a saved system, or the name of one that needs no training"
    parser.add_argument("query", type=Path, metavar="QUERY", help="a vocal imitation's audio file")
    parser.add_argument("sound", type=Path, metavar="SOUND", help="a sound's audio file")
    parser.add_argument("--system", "--checkpoint", required=True, metavar="SYSTEM", help=system)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print the score."""
    from vocalsketch.files import write_text
    from vocalsketch.interpret.explanation import explain
    from vocalsketch.retrieval.results import corpus_tag
    from vocalsketch.systems import load_system

    system = load_system(arguments.system)
    html, score = explain(system, arguments.query, arguments.sound)
    target = arguments.out / "explanation.html"
    write_text(target, html)
    tag = f" ({corpus_tag(system.corpus)})" if system.corpus else ""
    print(f"{score}{tag}: {target}")
    return 0
