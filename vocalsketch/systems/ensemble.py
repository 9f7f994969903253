"""Several systems as one: each embeds and scores, and their calibrated scores are added."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.audio import ClipShape, clip_of
from vocalsketch.features.front_end import FrontEnd, Waveform, levelled
from vocalsketch.retrieval.scores import CategoryScores
from vocalsketch.systems.registry import SYSTEMS, class_named
from vocalsketch.systems.system import System


class Ensemble(System):
    """The sum of its members' scores, each times a weight that is never negative.

    An embedding is that of every member, side by side. What it is given is the waveform, at the
    highest rate and of the greatest length that a member needs; each takes its own clip from it.
    Scores enter a fusion as negated distances do, by their softmax over the candidates: that is
    the likelihood by which the weights are fitted.

    Args:
        members: Systems, each of which has a weight.
        front_ends: Of both sides; by default as the members need.
        widths: Numbers of each member's embedding; by default found by embedding silence.
        weights: Of each member; by default 1, until a fit.

    Raises:
        ConfigError: There is no member, or not one weight for each.
    """

    kind = "distance"

    def __init__(
        self,
        members: Sequence[System],
        front_ends: Mapping[Side, FrontEnd] | None = None,
        widths: Sequence[int] | None = None,
        weights: Sequence[float] = (),
    ) -> None:
        if not members:
            raise ConfigError("An ensemble needs at least one member: name some systems.")
        if weights and len(weights) != len(members):
            raise ConfigError(
                f"weights are {len(weights)}, but members {len(members)}: give one for each."
            )
        super().__init__(front_ends or {side: _widest(members, side) for side in SIDES})
        self.members = nn.ModuleList(members)
        ones = [1.0] * len(members)
        self.register_buffer("weights", torch.tensor(weights or ones, dtype=torch.float32))
        self.widths = list(widths) if widths else [_width(member) for member in members]
        self.inner_product = all(member.inner_product for member in members)

    def settings(self) -> dict[str, Any]:
        """Return the members' descriptions, and how wide their embeddings are."""
        members = [member.description() for member in self.parts()]
        return {"members": members, "widths": self.widths}

    @classmethod
    def from_settings(cls, front_ends: Mapping[Side, FrontEnd], settings: dict[str, Any]) -> Self:
        """Build every member, and the ensemble of them."""
        members = [
            class_named(each["system"], SYSTEMS, System).from_description(each)  # type: ignore[type-abstract]
            for each in settings["members"]
        ]
        return cls(members, front_ends, settings["widths"])

    def parts(self) -> Sequence[System]:
        """Return the members."""
        return [cast("System", member) for member in self.members]

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map waveforms (clips, 1, samples) to all members' embeddings (clips, sum of widths).

        Those of a recording are multiplied by the weights where scores are inner products.
        """
        clips, rate = features[:, 0].detach().cpu().numpy(), self.front_ends[side].sample_rate

        def own(end: FrontEnd) -> Tensor:
            cut = np.stack([clip_of(clip, rate, end) for clip in clips])
            return torch.from_numpy(cut).to(features.device)

        return self._joined(side, self._heard(side, own))

    def clip_shape(self, side: Side) -> ClipShape:
        """Return the members' common clip.

        Raises:
            ConfigError: Their rates differ, or how they cut silence.
        """
        shapes = [member.clip_shape(side) for member in self.parts()]
        if len({(shape.sample_rate, shape.trim) for shape in shapes}) > 1:
            raise ConfigError(f"The ensemble's members hear clips of different kinds: {shapes}.")
        longest = max(shapes, key=lambda shape: shape.seconds)
        return replace(longest, absolute=False)  # each member sets the level of its own

    def hear_cut(self, side: Side, waveforms: Tensor) -> Tensor:
        """Map clips to embeddings; each member hears the beginning that it looks at."""

        def own(end: FrontEnd) -> Tensor:
            return levelled(waveforms[:, : end.samples], end.absolute)

        return self._joined(side, self._heard(side, own, cut=True))

    def _heard(
        self, side: Side, clips_for: Callable[[FrontEnd], Tensor], *, cut: bool = False
    ) -> list[Tensor]:
        """Return every member's embeddings; what front ends that are alike make is made once."""
        made: dict[str, Tensor] = {}
        heard = []
        for member in self.parts():
            end = member.front_ends[side]
            if cut and member.parts():  # whose own front end would read its waveforms' samples
                heard.append(member.hear_cut(side, clips_for(end)))
                continue
            if end.fingerprint not in made:
                made[end.fingerprint] = end(clips_for(end))
            heard.append(member.embed(side, made[end.fingerprint]))
        return heard

    def _joined(self, side: Side, heard: Sequence[Tensor]) -> Tensor:
        if self.inner_product and side == "recording":
            weights = self.get_buffer("weights")
            heard = [each * weight for each, weight in zip(heard, weights, strict=True)]
        return torch.cat(list(heard), dim=1)

    def score(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map embeddings to the weighted sum of the members' scores (queries, candidates)."""
        if self.inner_product:
            return imitations @ recordings.T
        weighed = self._weighed(imitations, recordings)
        nothing = imitations.new_zeros(len(imitations), len(recordings))
        return sum((weight * member.score(*pair) for member, weight, *pair in weighed), nothing)

    @property
    def aspects(self) -> tuple[str, ...]:
        """The members' aspects; those of one name count as one."""
        return tuple(dict.fromkeys(name for each in self.parts() for name in each.aspects))

    def aspect_scores(self, imitations: Tensor, recordings: Tensor) -> dict[str, Tensor]:
        """Return the sum of the members' shares of each aspect, weighed as their scores are."""
        nothing = imitations.new_zeros(len(imitations), len(recordings))
        shares = dict.fromkeys(self.aspects, nothing)
        for member, weight, asked, found in self._weighed(imitations, recordings):
            for name, share in member.aspect_scores(asked, found).items():
                shares[name] = shares[name] + weight * share
        return shares

    def weighed(self, imitations: Tensor, weights: Mapping[str, float]) -> Tensor:
        """Weigh each member's part."""
        parts = torch.split(imitations, self.widths, dim=1)
        pairs = zip(self.parts(), parts, strict=True)
        return torch.cat([member.weighed(part, weights) for member, part in pairs], dim=1)

    def fit(self, scores: Sequence[Sequence[CategoryScores]]) -> Self:
        """Weigh the members so that the targets of a half become as likely as they can.

        The likelihood of a candidate is the softmax of the weighted sum over its category. Which
        order a member alone gives is never turned around.

        Args:
            scores: Of each member, its scores of the same queries of the same categories: those
                of a validation half, never of the half that is reported.
        """
        stacked = [
            (np.stack([each.scores for each in category]), torch.from_numpy(category[0].targets))
            for category in zip(*scores, strict=True)
        ]
        # in units of each member's own spread, which makes every weight's search alike
        spread = np.sqrt(np.mean([each.var(axis=(1, 2)) for each, _ in stacked], axis=0)) + 1e-12
        scaled = [
            (torch.from_numpy(each / spread[:, None, None]).double(), targets)
            for each, targets in stacked
        ]
        bounds = [(0.0, None)] * len(spread)
        start = np.ones(len(spread))
        found = minimize(_unlikelihood, start, (scaled,), "L-BFGS-B", jac=True, bounds=bounds)
        self.get_buffer("weights").copy_(torch.from_numpy(found.x / spread))
        return self

    def _weighed(
        self, imitations: Tensor, recordings: Tensor
    ) -> Iterator[tuple[System, Tensor, Tensor, Tensor]]:
        """Yield each member that counts, its weight and its own embeddings of both sides."""
        sides = (torch.split(each, self.widths, dim=1) for each in (imitations, recordings))
        for member, weight, asked, found in zip(
            self.parts(), self.get_buffer("weights"), *sides, strict=True
        ):
            if weight > 0:  # which embeddings of recordings hold where scores are inner products
                yield member, weight, asked, found / weight if self.inner_product else found


@torch.enable_grad()
def _unlikelihood(
    weights: NDArray[np.float64], categories: Sequence[tuple[Tensor, Tensor]]
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean negative log likelihood of the targets, and its gradient."""
    weighed = torch.from_numpy(weights).requires_grad_()
    queries = sum(len(targets) for _, targets in categories)
    total = torch.zeros((), dtype=torch.double)
    for scores, targets in categories:  # (members, queries, candidates), (queries,)
        logits = torch.tensordot(weighed, scores, 1)
        total = total + cross_entropy(logits, targets, reduction="sum") / queries
    (gradient,) = torch.autograd.grad(total, weighed)
    return total.item(), gradient.numpy()


def _widest(members: Sequence[System], side: Side) -> Waveform:
    ends = [member.front_ends[side] for member in members]
    return Waveform(max(end.sample_rate for end in ends), max(end.seconds for end in ends))


@torch.no_grad()
def _width(member: System) -> int:
    silence, training = torch.zeros(1, member.front_ends["recording"].samples), member.training
    width = member.eval().hear("recording", silence).shape[1]  # a norm in training wants more clips
    member.train(training)
    return width
