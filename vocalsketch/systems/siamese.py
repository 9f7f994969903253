"""The Siamese-style networks: two towers and a metric head."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal, Self

from torch import Tensor

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models.metric_head import MetricHead
from vocalsketch.models.tower import FORBIDDEN, Tower, TowerGeometry, fast_tower
from vocalsketch.systems.head_scorer import HeadScorer
from vocalsketch.systems.system import Scorer, System

Sharing = Literal["tied", "partial", "untied"]


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
        return super().scorer(threads, weights) if weights else HeadScorer(self.head, threads)

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
        """Score pairs of clips; each clip passes through its tower once.

        Args:
            imitations: (clips, bins, frames).
            recordings: (clips, bins, frames).
            imitation_index: The row of each pair's imitation, (pairs,).
            recording_index: The row of each pair's recording, (pairs,).

        Returns:
            Logits (pairs,): the paper's similarity before its sigmoid.
        """
        return self.head.score(
            # plain indexing adds up its gradients in whatever order threads come, on the CPU
            self.embed("imitation", imitations).index_select(0, imitation_index),
            self.embed("recording", recordings).index_select(0, recording_index),
        )


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
