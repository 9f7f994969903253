"""Real clips, to hold patterns against."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vocalsketch.datasets.records import Corpus
from vocalsketch.domain import Side
from vocalsketch.features.audio import load_clip
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.ascent import Inputs
from vocalsketch.interpret.layers import Part
from vocalsketch.interpret.subject import sides_of

CLIPS = 200


@dataclass(frozen=True, eq=False)
class Clips:
    """Imitations and the recordings they imitate, row by row.

    Attributes:
        corpus: Name of the corpus.
        spectrograms: (clips, bins, frames), standardised, of each side that was asked for.
    """

    corpus: str
    spectrograms: Mapping[Side, Tensor]

    def of(self, part: Part) -> Inputs:
        """Return what a layer of that part sees; for a pair, true pairs."""
        return tuple(self.spectrograms[side] for side in sides_of(part))


def draw_clips(
    corpus: Corpus, front_ends: Mapping[Side, FrontEnd], seed: int, count: int = CLIPS
) -> Clips:
    """Draw up to ``count`` imitations with their recordings and compute their spectrograms.

    Raises:
        AudioError: One of them cannot be read.
    """
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(corpus.imitations))[:count]
    sounds = {sound.id: sound.path for sound in corpus.sounds}
    imitations = [corpus.imitations[row] for row in chosen]
    paths = {
        "imitation": [imitation.path for imitation in imitations],
        "recording": [sounds[imitation.sound_id] for imitation in imitations],
    }
    spectrograms: dict[Side, Tensor] = {}
    for side, front_end in front_ends.items():
        made = {
            path: front_end(torch.from_numpy(load_clip(path, front_end))[None])[0]
            for path in tqdm(sorted(set(paths[side])), f"{side} clips", unit="clip")
        }
        spectrograms[side] = torch.stack([made[path] for path in paths[side]])
    return Clips(corpus.name, spectrograms)
