"""`vocalsketch index`: make a library searchable, and look at what was made."""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.commands.actions import RAY, Action, Options
from vocalsketch.datasets.discovery import counted, suffix_of

if TYPE_CHECKING:
    from vocalsketch.search.build import BuildReport

SHOWN = 10


def _build(arguments: argparse.Namespace) -> int:
    from vocalsketch.search import build_index

    report = build_index(
        arguments.library,
        arguments.index,
        arguments.system,
        jobs=arguments.jobs,
        accelerator=arguments.accelerator,
        devices=arguments.devices,
        ray=arguments.ray,
    )
    print(*report_lines(report, arguments.index), sep="\n")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from vocalsketch.search import Index
    from vocalsketch.search.lance import EXACT_BELOW, export_lance

    indexes = [Index.open(each) for each in arguments.indexes]
    if export_lance(indexes, arguments.out):
        print(f"Searches of {arguments.out} are approximate: `--index {arguments.out}`.")
    else:
        print(
            f"{arguments.out} is searched exactly, which is faster than a vector index below "
            f"{EXACT_BELOW:,} windows: none was made."
        )
    return 0


def _info(arguments: argparse.Namespace) -> int:
    from vocalsketch.search import Index

    index = Index.open(arguments.index)
    manifest = index.manifest
    size = sum(file.stat().st_size for file in arguments.index.rglob("*") if file.is_file())
    tags = [f"{tag} ({count:,})" for tag, count in index.tags().most_common(SHOWN)]
    rows = {
        "library": index.library,
        "sounds": f"{index.sounds:,} ({index.windows:,} windows)",
        "version": f"{index.version}, built {manifest.built}",
        "system": f"{index.system.description()['system']} {index.fingerprint}, "
        f"corpus={index.corpus or 'none'}",
        "stored": f"{len(manifest.segments)} segments, {size / 1e6:,.1f} MB",
        "skipped": f"{len(manifest.skipped):,} files that cannot be used",
        "tags": ", ".join(tags) or "none",
    }
    for name, value in rows.items():
        print(f"{name:8}  {value}")
    if arguments.skipped:
        for path, reason in manifest.skipped.items():
            print(f"skipped {path}: {reason}")
    else:
        for line in skipped_lines(manifest.skipped, manifest.others):
            print(line)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from vocalsketch.search import Index, check_index

    found = check_index(arguments.index)
    for problem in found.problems:
        print(problem)
    for what, paths in (("new or changed", found.new), ("gone", found.gone)):
        if paths:
            more = f", and {len(paths) - SHOWN:,} more" if len(paths) > SHOWN else ""
            print(f"{len(paths):,} {what} in the library: {', '.join(paths[:SHOWN])}{more}")
    if found.new or found.gone:
        print(f"Bring the index up to date with `{Index.open(arguments.index).update}`.")
    if not found.problems:
        print(f"{arguments.index} is whole.")
    return 1 if found.problems else 0


def report_lines(report: "BuildReport", index: Path | str) -> Iterator[str]:
    """Yield what a build came to, line by line."""
    made = report.manifest
    yield from skipped_lines(made.skipped, made.others)
    yield (
        f"{made.sounds:,} sounds ({made.windows:,} windows): {report.embedded:,} new, "
        f"{report.unchanged:,} unchanged, {report.removed:,} removed, "
        f"{len(made.skipped):,} skipped; version {made.version} of {index}"
    )


def skipped_lines(skipped: Mapping[str, str], others: Mapping[str, int]) -> Iterator[str]:
    """Count files that cannot be used by suffix and reason, the commonest first; and all others.

    >>> cut = {"a.wav": "truncated: 1 of 2", "b.wav": "truncated: 3 of 9"}
    >>> list(skipped_lines(cut, {".txt": 2, ".pdf": 1}))
    ['skipped 2 .wav: truncated (such as a.wav)', 'no sounds, left out: 2 .txt, 1 .pdf']
    """
    keys = {
        path: (suffix_of(path), said.split(":")[0].rstrip(".")) for path, said in skipped.items()
    }
    first = {key: path for path, key in reversed(keys.items())}
    for key, count in Counter(keys.values()).most_common():
        yield f"skipped {count:,} {key[0]}: {key[1]} (such as {first[key]})"
    if others:
        yield counted(others)


INDEX: Options = {"index": (Path, "the index's folder")}
BUILD: Options = {
    "library": (Path, "the folder of sounds"),
    "--index!": (str, "the index's folder, made if need be, or an address such as s3://bucket/it"),
    "--system/--checkpoint": (
        str,
        "what listens: a checkpoint of a fit, a saved system, or a name such as contours; not "
        "needed to bring an index up to date (default: the system that comes with the program)",
    ),
    "--jobs": (int, "threads (default: a core each)"),
    "--accelerator": ("cpu", "cpu, cuda, mps or auto"),
    "--devices": (1, "how many devices share the work"),
    **RAY,
}
EXPORT: Options = {
    "indexes+ INDEX": (Path, "an index's folder; several are shards of one library"),
    "--to": (("lance",), "a Lance dataset, with a vector index from a million windows on"),
    "--out!": (str, "a folder that is not there yet, or an address such as s3://bucket/sounds"),
}
SKIPPED: Options = {"--skipped": (False, "list every file that cannot be used, and why")}
ACTIONS = {
    "build": Action("index a folder of sounds; again, only what is new or changed", _build, BUILD),
    "info": Action("say what an index holds", _info, {**INDEX, **SKIPPED}),
    "export": Action(
        "write an index as a Lance dataset, on a disk or in object storage", _export, EXPORT
    ),
    "check": Action("read an index whole and compare it with its library", _check, INDEX),
}
