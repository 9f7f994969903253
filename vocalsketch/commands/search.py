"""`vocalsketch search`: find sounds in one's own library by imitating them."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    from vocalsketch.search import Hit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument("query", nargs="?", type=Path, metavar="QUERY", help="an audio file")
    query.add_argument(
        "--record", type=float, metavar="SECONDS", help="record the query from the microphone"
    )
    parser.add_argument(
        "--index",
        type=Path,
        action="append",
        required=True,
        help="the index's folder; given several times, for indexes of one library, the ranking is "
        "by the product of their networks' likelihoods",
    )
    parser.add_argument(
        "--top", type=int, default=10, help="how many results (default: %(default)s)"
    )
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        help="only sounds in a folder of this name (whole words of it, in any case); may be given "
        "several times",
    )
    parser.add_argument(
        "--text",
        default="",
        help="words: for each that a sound's path lacks it counts as a tenth as likely",
    )
    parser.add_argument(
        "--no-trim", action="store_true", help="leave silence at the beginning of the query"
    )
    parser.add_argument("--play", action="store_true", help="play the results, best first")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the results, best first."""
    from vocalsketch.search import Index, Searcher, play, read_query, record
    from vocalsketch.search.query import LONGEST

    if arguments.top < 1:
        raise ConfigError(f"--top is {arguments.top}: give 1 or more.")
    searcher = Searcher([Index.open(folder) for folder in arguments.index])
    if arguments.record is None:
        waveform, rate = read_query(arguments.query)
    else:
        now = f"Recording {arguments.record:g} s: imitate the sound now."
        waveform, rate = record(arguments.record, begun=lambda: print(now, file=sys.stderr))
    if len(waveform) >= LONGEST * rate:
        note = f"Only the beginning of {arguments.query} is listened to: a query is a few seconds."
        print(note, file=sys.stderr)
    hits = searcher.search(
        waveform,
        rate,
        arguments.top,
        tags=arguments.tag,
        text=arguments.text,
        trim=not arguments.no_trim,
    )
    if arguments.json:
        print(json.dumps([hit.to_dict() for hit in hits], indent=2))
    else:
        _print_table(hits)
    for hit in hits if arguments.play else ():
        print(f"playing {hit.rank}: {hit.path}", file=sys.stderr)
        play(hit)
    return 0


def _print_table(hits: "list[Hit]") -> None:
    """Print a line for each result; the path last and unbroken, to be copied."""
    print(f"{'rank':>4}  {'probability':>11}  {'score':>9}  {'at':>12}  sound")
    for hit in hits:
        where = f"{hit.start:g}-{hit.end:.1f} s"
        figures = f"{hit.rank:4}  {hit.probability:11.3g}  {hit.score:9.3f}  {where:>12}"
        print(f"{figures}  {hit.file}")
