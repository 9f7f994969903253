"""MRR of a test half: each clip embedded once, against every pair through the whole network.

    python benchmarks/ranking.py [--sounds N] [--queries N] [--sample N]

IMINET (tied) with random weights on random spectrograms: 120 sounds and 1,200 imitations by
default. The plain way is timed on a sample of the queries and scaled up; the ranks of the sample
are compared.
"""

import argparse
import time

import numpy as np
import torch

from vocalsketch.domain import SIDES
from vocalsketch.features.cqt import CQT
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.retrieval.scores import mid_ranks
from vocalsketch.systems.siamese import Siamese, SiameseGeometry

TOWER = TowerGeometry(
    [
        ConvStage(12, (3, 3), (2, 4)),
        ConvStage(12, (3, 3), (2, 4)),
        ConvStage(6, (3, 3)),
        ConvStage(6, (3, 3)),
    ]
)


@torch.inference_mode()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sounds", type=int, default=120)
    parser.add_argument("--queries", type=int, default=1200)
    parser.add_argument("--sample", type=int, default=30, help="queries scored pair by pair")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    network = Siamese(
        dict.fromkeys(SIDES, CQT()), SiameseGeometry((72, 129), (72, 129), TOWER, TOWER, "tied")
    ).eval()
    sounds = torch.randn(arguments.sounds, 72, 129)
    queries = torch.randn(arguments.queries, 72, 129)
    targets = np.arange(arguments.queries) % arguments.sounds

    def once() -> torch.Tensor:
        left = torch.cat([network.embed("imitation", block) for block in queries.split(128)])
        right = torch.cat([network.embed("recording", block) for block in sounds.split(128)])
        return network.head.score_matrix(left, right)

    def every_pair() -> torch.Tensor:
        pairs = torch.arange(len(sounds))
        return torch.stack(
            [network(query.expand_as(sounds), sounds, pairs, pairs)
             for query in queries[: arguments.sample]]
        )  # fmt: skip

    once(), every_pair()  # warm up
    started = time.perf_counter()
    scores = once()
    ours = time.perf_counter() - started
    started = time.perf_counter()
    plain = every_pair()
    seconds = (time.perf_counter() - started) * arguments.queries / arguments.sample
    sample = slice(0, arguments.sample)
    same = mid_ranks(scores[sample].double().numpy(), targets[sample]) == mid_ranks(
        plain.double().numpy(), targets[sample]
    )
    print(
        f"{arguments.queries} queries x {arguments.sounds} sounds: {ours:.2f} s; pair by pair "
        f"{seconds:.0f} s (scaled up from {arguments.sample} queries); ratio {seconds / ours:.0f}; "
        f"same ranks: {same.all()}; largest score difference "
        f"{(scores[sample] - plain).abs().max():.1e}"
    )


if __name__ == "__main__":
    main()
