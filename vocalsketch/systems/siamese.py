"""The Siamese-style networks: two towers and a metric head."""

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models.tower import FORBIDDEN, MetricHead, Tower, TowerGeometry, fast_tower
from vocalsketch.systems.system import Floats, Scorer, System, filled

Sharing = Literal["tied", "partial", "untied"]
Kernel = Callable[..., None]

ROWS_PER_TASK = 32_768  # of one thread: 14 MB of 108 floats, a millisecond's work
ROWS_PER_BLOCK = 1_024  # 1.8 MB of 432 floats: what a thread's part of the cache holds
# sums may be reordered, which vector instructions need; infinities and NaN keep their meaning
FAST = {"reassoc", "contract", "nsz"}
FEW = 65_536  # sounds: 3 ms of matrix products, where importing numba takes a second


@dataclass(frozen=True)
class SiameseGeometry:
    """All that must be known to build the towers and the head.

    Towers are ``tied`` (one for both sides), ``partial`` (the first ``private_stages`` are each
    tower's own, the later ones shared) or ``untied``.
    """

    __pydantic_config__ = FORBIDDEN
    imitation_shape: tuple[int, int]  # (bins, frames) of a spectrogram
    recording_shape: tuple[int, int]
    imitation_tower: TowerGeometry
    recording_tower: TowerGeometry
    sharing: Sharing = "untied"
    private_stages: int = 2
    hidden: tuple[int, ...] = (432, 32)  # units of the head's hidden layers
    dropout: float = 0.2  # after each of them

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without what says nothing of the function."""
        idle = {"dropout"} if self.sharing == "partial" else {"dropout", "private_stages"}
        towers = {f"{side}_tower": getattr(self, f"{side}_tower").to_dict() for side in SIDES}
        return {name: v for name, v in {**asdict(self), **towers}.items() if name not in idle}


class Siamese(System):
    """IMINET and TL-IMINET: which one is a matter of geometry (paper, sections III to V).

    The embedding of a clip is its share of the head's first layer, which is linear in the
    concatenation of both towers' outputs: however many pairs a clip is in, it is computed once.

    Raises:
        ConfigError: Towers that do not fit their inputs, or cannot be shared as asked.
    """

    kind = "logit"

    def __init__(self, front_ends: Mapping[Side, FrontEnd], geometry: SiameseGeometry) -> None:
        super().__init__(front_ends)
        self.geometry = geometry
        self.imitation_tower = Tower(geometry.imitation_shape, geometry.imitation_tower)
        self.recording_tower = _recording_tower(geometry, self.imitation_tower)
        widths = self.imitation_tower.width, self.recording_tower.width
        self.head = MetricHead(*widths, geometry.hidden, geometry.dropout)

    def settings(self) -> dict[str, Any]:
        """Return the geometry."""
        return {"geometry": self.geometry.to_dict()}

    def towers(self) -> dict[Side, Tower]:
        """Return the tower of each side; tied towers are one."""
        return {"imitation": self.imitation_tower, "recording": self.recording_tower}

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map features (clips, bins, frames) to shares of the head (clips, hidden[0])."""
        share = self.head.get_submodule(f"{side}_share")
        shares: Tensor = share(self.towers()[side](features))
        return shares

    def score(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map shares to logits (queries, candidates)."""
        return self.head.score_matrix(imitations, recordings)

    def scorer(
        self, threads: int | None = None, weights: Mapping[str, float] = MappingProxyType({})
    ) -> Scorer:
        """Return the head's scores of stored shares, where no aspect is weighed."""
        return super().scorer(threads, weights) if weights else head_scorer(self.head, threads)

    def fast(self) -> Self:
        """Return the same function, to rounding, three times faster on a CPU."""
        copied = deepcopy(self).eval()
        for side, tower in self.towers().items():
            setattr(copied, f"{side}_tower", fast_tower(tower))
        return copied

    def forward(
        self,
        imitations: Tensor,
        recordings: Tensor,
        imitation_index: Tensor,
        recording_index: Tensor,
    ) -> Tensor:
        """Score pairs of clips (clips, bins, frames), given by their rows (pairs,) on each side.

        Each clip passes through its tower once. Returns logits (pairs,): the paper's similarity
        before its sigmoid.
        """
        return self.head.score(
            # plain indexing adds up its gradients in whatever order threads come, on the CPU
            self.embed("imitation", imitations).index_select(0, imitation_index),
            self.embed("recording", recordings).index_select(0, recording_index),
        )


def head_scorer(head: MetricHead, threads: int | None = None) -> Scorer:
    """Return a metric head's exact scores of stored shares, at the speed of the memory.

    A pair's score is the head's rest of (query's share + sound's share). A deep head (IMINET) is
    matrix products over blocks of rows that stay in the cache. One with a single hidden layer
    (TL-IMINET) needs 3 operations for each number that is read: one compiled loop that keeps
    nothing in between, unless the sounds are so few that loading the compiler would take longer.
    Queries from several threads come one after the other: each has all cores.
    """
    layers = [  # weight (inputs, outputs), bias (outputs,)
        (layer.weight.detach().t().contiguous(), layer.bias.detach())
        for layer in head.rest
        if isinstance(layer, nn.Linear)
    ]
    lock = threading.Lock()

    def scores(queries: Floats, blocks: Sequence[Floats]) -> Floats:
        flat = len(layers) == 1 and sum(map(len, blocks)) > FEW
        weight, bias = (each.numpy().ravel() for each in layers[0])
        by_loop = partial(compiled(_score), weight, bias[0]) if flat else None
        with lock:
            fill = by_loop or partial(_fill_by_blocks, layers)
            return filled(fill, threads, queries, blocks, ROWS_PER_TASK)

    return scores


@torch.inference_mode()
def _fill_by_blocks(
    layers: Sequence[tuple[Tensor, Tensor]], queries: Floats, shares: Floats, scores: Floats
) -> None:
    """Fill ``scores`` (queries, rows) through any number of hidden layers."""
    buffer = torch.empty(min(len(shares), ROWS_PER_BLOCK), shares.shape[1])
    for start in range(0, len(shares), ROWS_PER_BLOCK):
        stored = shares[start : start + ROWS_PER_BLOCK]
        for query, row in zip(queries, scores, strict=True):
            hidden = buffer[: len(stored)]
            np.add(stored, query, out=hidden.numpy())  # torch takes no read-only memory
            for weight, bias in layers:
                hidden = torch.addmm(bias, hidden.relu_(), weight)
            row[start : start + len(stored)] = hidden[:, 0].numpy()


@cache
def compiled(function: Kernel) -> Kernel:
    """Return a compiled function that runs beside other threads.

    What was compiled is kept, beside this file or in the user's cache; where neither can be
    written it is compiled once more in each process, which takes a second.
    """
    import numba  # which takes a second

    try:
        kept: Kernel = numba.njit(nogil=True, fastmath=FAST, cache=True)(function)
    except RuntimeError:  # numba found no place
        kept = numba.njit(nogil=True, fastmath=FAST)(function)
    return kept


def _score(weight, bias, queries, shares, scores):  # type: ignore[no-untyped-def]  # numba's
    """Fill ``scores`` (queries, rows) through one hidden layer."""
    zero = np.float32(0.0)
    for row in range(shares.shape[0]):
        for query in range(queries.shape[0]):
            total = np.float32(0.0)
            for unit in range(shares.shape[1]):
                total += weight[unit] * max(shares[row, unit] + queries[query, unit], zero)
            scores[query, row] = total + bias


def _recording_tower(geometry: SiameseGeometry, imitation_tower: Tower) -> Tower:
    if geometry.sharing == "untied":
        return Tower(geometry.recording_shape, geometry.recording_tower)
    if (geometry.imitation_shape, geometry.imitation_tower) != (
        geometry.recording_shape,
        geometry.recording_tower,
    ):
        raise ConfigError(
            f"sharing is {geometry.sharing!r}, but the two towers differ: give both the same front "
            "end and stages (leave recording_tower out), or use sharing: untied."
        )
    if geometry.sharing == "tied":
        return imitation_tower
    private, stages = geometry.private_stages, len(geometry.recording_tower.stages)
    if not 0 < private < stages:
        raise ConfigError(
            f"private_stages is {private} of {stages} stages: with sharing: partial it must leave "
            f"some on either side, 1 to {stages - 1}."
        )
    tower = Tower(geometry.recording_shape, geometry.recording_tower)
    for number in range(private, stages):
        tower.stages[number] = imitation_tower.stages[number]
    tower.recurrent = imitation_tower.recurrent
    return tower
