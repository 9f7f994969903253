"""`vocalsketch search`: find sounds in one's own library by imitating them."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.commands.actions import Options
from vocalsketch.commands.index import report_lines
from vocalsketch.errors import ConfigError, StorageError, refuse_below

if TYPE_CHECKING:
    from vocalsketch.search import Hit, Searcher
    from vocalsketch.search.query import Waveform

PARTIAL = 3  # exit status: answered, but not from all shards
OPTIONS: Options = {
    "--system": (str, "with --library, what listens (default: what comes with the program)"),
    "--fuse": (
        False,
        "the indexes are of one library by several systems: rank by the product of their "
        "likelihoods",
    ),
    "--top": (10, "how many results"),
    "--tag": (
        [str],
        "only sounds in a folder of this name (whole words of it, in any case); may be given "
        "several times",
    ),
    "--text": (str, "words: for each that a sound's path lacks it counts as a tenth as likely"),
    "--aspect NAME=FACTOR": (
        [str],
        "how much something counts, such as pitch=0 or loudness=3; may be given several times",
    ),
    "--no-trim": (False, "leave silence at both ends of the query"),
    "--play": (False, "play the results, best first"),
    "--open": (False, "show the best result's file in the file manager"),
    "--json": (False, "print the results as JSON"),
}


QUERY: Options = {
    "query?": (Path, "an audio file"),
    "--record SECONDS": (float, "record the query from the microphone"),
}
WHERE: Options = {
    "--library DIR": (
        Path,
        "a folder of sounds; its index is kept in the cache folder and brought up to date",
    ),
    "--index": (
        [str],
        "an index's folder, or the address of an export; given several times, for indexes of "
        "different libraries, they are searched as one",
    ),
}
ONE_OF = QUERY, WHERE


def run(arguments: argparse.Namespace) -> int:
    """Print the results, best first; return 3 where a shard was missing."""
    from vocalsketch.search import Searcher, play, reveal
    from vocalsketch.search.query import aspect_weights

    refuse_below(1, **{"--top": arguments.top})
    if arguments.library is not None and arguments.fuse:
        raise ConfigError("--fuse is of several indexes: give each with --index.")
    if arguments.library is None and arguments.system is not None:
        raise ConfigError("--system goes with --library: an index holds its system.")
    # what is wrong with the query is said before a library is indexed
    query = None if arguments.query is None else _query(arguments)
    folders = arguments.index or [_up_to_date(arguments.library, arguments.system)]
    searcher = Searcher.open(folders, fuse=arguments.fuse)
    waveform, rate = query or _query(arguments)
    trim = not arguments.no_trim
    hits = searcher.search(
        waveform,
        rate,
        arguments.top,
        tags=arguments.tag,
        text=arguments.text or "",
        aspects=aspect_weights(arguments.aspect),
        trim=trim,
    )
    print(searcher.heard_part(waveform, rate, trim).note, file=sys.stderr)
    if arguments.json:
        print(json.dumps([hit.to_dict() for hit in hits], indent=2))
    else:
        _print_table(hits)
    if searcher.note:
        print(searcher.note, file=sys.stderr)
    _say_what_lacks(searcher, hits)
    there = [hit for hit in hits if not hit.gone]
    for hit in there if arguments.play else ():
        print(f"playing {hit.rank}: {hit.path}", file=sys.stderr)
        play(hit)
    if arguments.open and there:
        reveal(there[0].file)
    return PARTIAL if searcher.missing else 0


def _query(arguments: argparse.Namespace) -> tuple["Waveform", int]:
    from vocalsketch.search import read_query, record
    from vocalsketch.search.query import prepared

    if arguments.query is None:
        now = f"Recording {arguments.record:g} s: imitate the sound now."
        return record(arguments.record, begun=lambda: print(now, file=sys.stderr))
    waveform, rate = read_query(arguments.query)
    prepared(waveform, rate)
    return waveform, rate


def _up_to_date(library: Path, system: str | None) -> Path:
    """Return the index of a library in the cache folder, made or brought up to date now."""
    from vocalsketch.search.index import SHIPPED_FINGERPRINT
    from vocalsketch.search.library import index_of, is_current

    if system is None:
        index = index_of(library, SHIPPED_FINGERPRINT)
        if is_current(library, index):
            return index
    from vocalsketch.search import build_index  # which imports torch
    from vocalsketch.systems import load_system

    chosen = load_system(system or "default")
    index = index_of(library, chosen.fingerprint)
    try:
        report = build_index(library, index, chosen)
    except StorageError as error:
        if not (index / "index.json").exists():
            raise
        print(f"{error} The version before is searched.", file=sys.stderr)
        return index
    if report.embedded or report.removed:
        print(*report_lines(report, index), sep="\n", file=sys.stderr)
    return index


def _say_what_lacks(searcher: "Searcher", hits: Sequence["Hit"]) -> None:
    """Say which shards were not searched, and which sounds are gone since they were indexed."""
    for folder, reason in searcher.missing.items():
        print(f"The answer is partial: {folder} is missing ({reason})", file=sys.stderr)
    gone = [hit for hit in hits if hit.gone]
    if gone:
        index = next(
            each for each in searcher.indexes if gone[0].file == each.library / gone[0].path
        )
        print(
            f"{len(gone)} of these sounds are gone since they were indexed. Bring the index up to "
            f"date: {index.update}",
            file=sys.stderr,
        )


def _print_table(hits: Sequence["Hit"]) -> None:
    """Print a line for each result; the path last and unbroken, to be copied."""
    print(f"{'rank':>4}  {'probability':>11}  {'score':>9}  {'at':>12}  sound")
    for hit in hits:
        where = f"{hit.start:g}-{hit.end:.1f} s"
        figures = f"{hit.rank:4}  {hit.probability:11.3g}  {hit.score:9.3f}  {where:>12}"
        print(f"{figures}  {'(gone) ' if hit.gone else ''}{hit.file}")
