"""Make the default system of its members, and measure a system on people, as anybody would use it.

    vocalsketch data imitate --procedural 600 --people 2 --seed 1 --out HELD_OUT
    python benchmarks/default_system.py fit ABSOLUTE OWN THIRD contours --pairs HELD_OUT --out FILE
    python benchmarks/default_system.py measure FILES --ranked ROOT --kinds DIR --corpus ROOT

``fit`` weighs all networks alike, so that synthesised pairs that none was trained on become as
likely as they can, beside what learns nothing at a given weight, and writes parameters as float16.
``measure`` indexes and searches: a corpus in the folder layout, all of whose sounds are ranked
(mean reciprocal rank); library/<kind> and queries/<kind> (precision at 1 and 10); and it ranks the
test half of a corpus as the paper does.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vocalsketch.datasets.imitation_sets import load_folder
from vocalsketch.datasets.open import open_corpora
from vocalsketch.datasets.records import Imitation, Sound
from vocalsketch.datasets.splits import make_split
from vocalsketch.domain import Side
from vocalsketch.features.audio import load_clip
from vocalsketch.retrieval.scores import CategoryScores, mean_reciprocal_rank
from vocalsketch.search import Index, Searcher, build_index, read_query
from vocalsketch.systems import System, load_system
from vocalsketch.systems.ensemble import Ensemble

AT_ONCE = 64  # clips


@torch.no_grad()
def heard(system: System, side: Side, files: Sequence[Path]) -> torch.Tensor:
    """Return embeddings (files, width)."""
    front_end = system.front_ends[side]
    parts = []
    for start in range(0, len(files), AT_ONCE):
        clips = [load_clip(file, front_end) for file in files[start : start + AT_ONCE]]
        parts.append(system.hear(side, torch.from_numpy(np.stack(clips))))
    return torch.cat(parts)


def scored(
    system: System, category: str, sounds: Sequence[Sound], imitations: Sequence[Imitation]
) -> CategoryScores:
    """Score imitations against sounds, all of which are candidates."""
    row = {sound.id: number for number, sound in enumerate(sounds)}
    scores = system.score(
        heard(system, "imitation", [each.path for each in imitations]),
        heard(system, "recording", [each.path for each in sounds]),
    )
    return CategoryScores(
        category,
        tuple(each.id for each in imitations),
        tuple(row),
        np.array([row[each.sound_id] for each in imitations]),
        scores.double().numpy(),
    )


def fit(members: Sequence[str], pairs: Path, out: Path, beside: float) -> None:
    """Weigh the members and write them as one."""
    corpus = load_folder(pairs)
    systems = [load_system(each) for each in members]
    told = [scored(each, "", corpus.sounds, corpus.imitations) for each in systems]
    learned = [any(True for _ in each.parameters()) for each in systems]
    summed = sum(each.scores for each, known in zip(told, learned, strict=True) if known)
    found = Ensemble([systems[learned.index(True)]])
    found.fit([[replace(told[0], scores=summed)]])
    weight = float(found.get_buffer("weights"))
    weights = [weight if known else beside for known in learned]
    ensemble = Ensemble(systems, weights=weights).eval()
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.copy_(parameter.half())
    for parameter in ensemble.parameters():  # buffers stay as they are
        parameter.data = parameter.data.half()
    ensemble.save(out, {"corpus": "synthesised imitations"})
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {ensemble.fingerprint}")
    print("weights", *(f"{float(weight):.5g}" for weight in ensemble.get_buffer("weights")))


def searched(system: Path, library: Path, queries: Sequence[Path]) -> list[list[Path]]:
    """Return all files of an indexed library for each query, best first."""
    with tempfile.TemporaryDirectory() as folder:
        build_index(library, Path(folder, "index"), system, progress=False)
        searcher = Searcher([Index.open(Path(folder, "index"))])
        lists = searcher.search_many([read_query(each) for each in queries], k=10_000)
        return [[Path(hit.path) for hit in hits] for hits in lists]


def ranked(system: Path, root: Path) -> str:
    """Search all sounds of a folder corpus for the target of each imitation."""
    queries = sorted(root.glob("imitations/*/*.wav"))
    found: dict[str, list[float]] = {}
    for query, files in zip(queries, searched(system, root / "sounds", queries), strict=True):
        target = query.parent.name
        rank = 1 + [file.stem for file in files].index(target)
        found.setdefault(target, []).append(1 / rank)
    whole = np.mean(np.concatenate(list(found.values())))
    per_target = np.mean([np.mean(each) for each in found.values()])
    return (
        f"{root.name}: MRR {whole:.3f}, mean of targets {per_target:.3f} ({len(queries)} queries)"
    )


def kinds(system: Path, root: Path) -> str:
    """Search a library for sounds of each query's kind."""
    queries = sorted(root.glob("queries/*/*.wav"))
    right = np.array(
        [
            [file.parts[0] == query.parent.name for file in files[:10]]
            for query, files in zip(
                queries, searched(system, root / "library", queries), strict=True
            )
        ]
    )
    return f"{root.name}: P@1 {right[:, 0].mean():.3f}, P@10 {right.mean():.3f}"


def test_half(system: System, root: Path) -> str:
    """Rank the test half within its categories."""
    corpus = open_corpora(str(root))
    split = make_split(corpus, "paper")
    sounds = [each for each in corpus.sounds if each.id in set(split.test_sounds)]
    imitations = [each for each in corpus.imitations if each.id in set(split.test_imitations)]
    means = []
    for category in corpus.categories:
        mine = [each for each in sounds if each.category == category]
        ids = {each.id for each in mine}
        asked = [each for each in imitations if each.sound_id in ids]
        scores = scored(system, category, mine, asked)
        means.append(mean_reciprocal_rank(scores.scores, scores.targets))
    return f"{root.name}: macro MRR {np.mean(means):.3f} of the test half"


def main() -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    fitting = actions.add_parser("fit")
    fitting.add_argument("members", nargs="+")
    fitting.add_argument("--pairs", type=Path, required=True)
    fitting.add_argument("--out", type=Path, required=True)
    fitting.add_argument("--beside", type=float, default=0.02, help="weight of what learns nothing")
    measuring = actions.add_parser("measure")
    measuring.add_argument("systems", type=Path, nargs="+")
    for name in ("--ranked", "--kinds", "--corpus"):
        measuring.add_argument(name, type=Path, metavar="ROOT")
    given = parser.parse_args()
    if given.action == "fit":
        fit(given.members, given.pairs, given.out, given.beside)
        return
    for system in given.systems:
        print(system)
        if given.ranked:
            print(ranked(system, given.ranked))
        if given.kinds:
            print(kinds(system, given.kinds))
        if given.corpus:
            print(test_half(load_system(system), given.corpus), flush=True)


if __name__ == "__main__":
    main()
