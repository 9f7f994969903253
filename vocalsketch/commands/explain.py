"""`vocalsketch explain`: what in a query and in a sound made a system score them so."""

import argparse
from pathlib import Path

from vocalsketch.commands.actions import Options

OPTIONS: Options = {
    "query": (Path, "a vocal imitation's audio file"),
    "sound": (Path, "a sound's audio file"),
    "--system/--checkpoint! SYSTEM": (
        str,
        "a checkpoint, a saved system, or the name of one that needs no training",
    ),
    "--out! DIR": (Path, "where to write"),
}


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print the score."""
    from vocalsketch.domain import SIDES
    from vocalsketch.features.audio import MARGIN, read_audio
    from vocalsketch.files import write_text
    from vocalsketch.interpret.explanation import explain, scored
    from vocalsketch.retrieval.results import corpus_tag
    from vocalsketch.systems import load_system

    system = load_system(arguments.system)
    paths = dict(zip(SIDES, (arguments.query, arguments.sound), strict=True))
    ends = system.front_ends
    clips = {side: read_audio(paths[side], seconds=ends[side].seconds + MARGIN) for side in SIDES}
    names = {side: path.name for side, path in paths.items()}
    target = arguments.out / "explanation.html"
    write_text(target, explain([("the system", system)], clips, names))
    score = scored(system, clips)
    tag = f" ({corpus_tag(system.corpus)})" if system.corpus else ""
    print(f"{score}{tag}: {target}")
    return 0
