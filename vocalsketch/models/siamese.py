"""The Siamese-style network: two towers and a metric head."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor, nn

from vocalsketch.errors import ConfigError
from vocalsketch.models.geometry import ConvStage, TowerGeometry
from vocalsketch.models.metric_head import MetricHead
from vocalsketch.models.tower import Tower

Sharing = Literal["tied", "partial", "untied"]


@dataclass(frozen=True)
class SiameseGeometry:
    """All that must be known to build the network.

    Attributes:
        imitation_shape: (bins, frames) of an imitation's spectrogram.
        recording_shape: (bins, frames) of a recording's spectrogram.
        imitation_tower: The imitation tower.
        recording_tower: The recording tower.
        sharing: ``tied`` (one tower for both), ``partial`` (the first ``private_stages`` are each
            tower's own, the later ones shared) or ``untied``.
        private_stages: Stages of each tower's own when ``partial``.
        hidden: Units of the head's hidden layers.
        dropout: Dropout after each hidden layer of the head.
    """

    imitation_shape: tuple[int, int]
    recording_shape: tuple[int, int]
    imitation_tower: TowerGeometry
    recording_tower: TowerGeometry
    sharing: Sharing = "untied"
    private_stages: int = 2
    hidden: tuple[int, ...] = (432, 32)
    dropout: float = 0.2

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a checkpoint holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SiameseGeometry":
        """Rebuild the geometry from ``to_dict``'s values."""
        plain = dict(values)
        for side in ("imitation_tower", "recording_tower"):
            tower = plain[side]
            stages = [ConvStage(**stage) for stage in tower["stages"]]
            plain[side] = TowerGeometry(stages, tower["batch_norm"])
        for name in ("imitation_shape", "recording_shape", "hidden"):
            plain[name] = tuple(plain[name])
        return cls(**plain)


class Siamese(nn.Module):
    """IMINET and TL-IMINET: which one is a matter of geometry (paper, sections III to V).

    Raises:
        ConfigError: Towers that do not fit their inputs, or cannot be shared as asked.
    """

    def __init__(self, geometry: SiameseGeometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.imitation_tower = Tower(geometry.imitation_shape, geometry.imitation_tower)
        self.recording_tower = _recording_tower(geometry, self.imitation_tower)
        self.head = MetricHead(
            self.imitation_tower.width,
            self.recording_tower.width,
            geometry.hidden,
            geometry.dropout,
        )

    def imitation_shares(self, imitations: Tensor) -> Tensor:
        """Map imitations (clips, bins, frames) to shares of the head (clips, hidden[0])."""
        shares: Tensor = self.head.imitation_share(self.imitation_tower(imitations))
        return shares

    def recording_shares(self, recordings: Tensor) -> Tensor:
        """Map recordings (clips, bins, frames) to shares of the head (clips, hidden[0])."""
        shares: Tensor = self.head.recording_share(self.recording_tower(recordings))
        return shares

    def forward(
        self,
        imitations: Tensor,
        recordings: Tensor,
        imitation_index: Tensor,
        recording_index: Tensor,
    ) -> Tensor:
        """Score pairs of clips; each clip passes through its tower once.

        Args:
            imitations: Distinct imitations (clips, bins, frames).
            recordings: Distinct recordings (clips, bins, frames).
            imitation_index: For each pair, the row of its imitation, (pairs,) integers.
            recording_index: For each pair, the row of its recording, (pairs,) integers.

        Returns:
            Logits (pairs,): the paper's similarity before its sigmoid.
        """
        return self.head.score(
            # plain indexing adds up its gradients in whatever order threads come, on the CPU
            self.imitation_shares(imitations).index_select(0, imitation_index),
            self.recording_shares(recordings).index_select(0, recording_index),
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
    return tower
