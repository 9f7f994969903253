"""What every system is: it embeds clips, scores them, and can be saved and loaded."""

import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, cast

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor, nn

from vocalsketch.domain import SIDES, Kind, Side
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.features.audio import ClipShape, clip_of
from vocalsketch.features.front_end import FrontEnd, levelled
from vocalsketch.files import write_bytes
from vocalsketch.spread.threads import available_cores, lasting_pool
from vocalsketch.systems.registry import SYSTEMS, front_end_from, name_of

Floats = NDArray[np.float32]
# scores of queries (q, width) and blocks of stored embeddings (n, width) each: (q, all n)
Scorer = Callable[[Floats, Sequence[Floats]], Floats]
ROWS_PER_TASK = 8_192  # of one thread: 3.5 MB of 108 floats


class System(nn.Module, ABC):
    """How well an imitation and a recording go together, by way of an embedding of each.

    Whoever trains, evaluates, fuses, indexes, searches, explains or exports one knows no more of
    it than this. A subclass gives its constructor's first argument on, says in ``settings`` what
    the others were, and implements ``embed``, and ``score`` where that is no inner product.
    """

    kind: Kind  # what a score is, which decides how it enters a fusion
    inner_product: bool = False  # whether ``score(a, b)`` is ``a @ b.T``
    version: ClassVar[int] = 1  # raised when the same description and weights mean something else
    front_ends: Mapping[Side, FrontEnd]  # copies, since they move with the system
    provenance: dict[str, Any]  # where it comes from, as plain values; not what it does

    def __init__(self, front_ends: Mapping[Side, FrontEnd]) -> None:
        super().__init__()
        own = nn.ModuleDict({side: deepcopy(front_ends[side]) for side in SIDES})
        self.front_ends = cast("Mapping[Side, FrontEnd]", own)
        self.provenance = {}

    @abstractmethod
    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map features (clips, bins, frames) of one side to embeddings (clips, width)."""

    def score(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map embeddings (queries, width), (candidates, width) to (queries, candidates).

        Higher is closer. By default it is their inner product.
        """
        return imitations @ recordings.T

    def settings(self) -> dict[str, Any]:
        """Return what the constructor was given beside the front ends, as plain values.

        All that changes the function belongs there, and nothing that only changes the training. By
        default it is what attributes of the arguments' names hold.
        """
        _, *names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names}

    @classmethod
    def untrained(cls) -> Self:
        """Return it as it is without any training of yours; a ConfigError where there is none."""
        raise ConfigError(
            f"The system {name_of(cls, SYSTEMS)} has to be trained: give a file that holds it."
        )

    @property
    def aspects(self) -> tuple[str, ...]:
        """The names of what may count more or less in a search."""
        return (name_of(type(self), SYSTEMS),)

    def aspect_scores(self, imitations: Tensor, recordings: Tensor) -> dict[str, Tensor]:
        """Return each aspect's share of the scores, (queries, candidates): their sum."""
        return {self.aspects[0]: self.score(imitations, recordings)}

    def weighed(self, imitations: Tensor, weights: Mapping[str, float]) -> Tensor:
        """Return imitations' embeddings whose inner products come near scores of weighed aspects.

        With them an approximate index finds what is worth scoring.
        """
        factors = [weights.get(name, 1.0) for name in self.aspects]
        return imitations * (sum(factors) / len(factors))

    def parts(self) -> Sequence["System"]:
        """Return the systems whose scores this one's are made of; none where it scores itself."""
        return ()

    def hear(self, side: Side, waveforms: Tensor) -> Tensor:
        """Map clips (clips, samples) at the side's sample rate to embeddings (clips, width)."""
        return self.embed(side, self.front_ends[side](waveforms))

    @torch.inference_mode()
    def hear_query(self, waveform: Floats, rate: int) -> Floats:
        """Return the embedding (width,) of an imitation (samples,) at any rate."""
        clip = clip_of(waveform, rate, self.front_ends["imitation"])
        heard: Floats = self.hear("imitation", torch.from_numpy(clip)[None])[0].float().numpy()
        return heard

    def clip_shape(self, side: Side) -> ClipShape:
        """Return what clips ``hear_cut`` is given."""
        end = self.front_ends[side]
        return ClipShape(end.sample_rate, end.seconds, end.trim, end.absolute)

    def hear_cut(self, side: Side, waveforms: Tensor) -> Tensor:
        """Map clips without silence at their ends, of any level, to embeddings, by torch alone.

        That is what ``export`` writes.
        """
        return self.hear(side, levelled(waveforms, self.front_ends[side].absolute))

    def scorer(
        self, threads: int | None = None, weights: Mapping[str, float] = MappingProxyType({})
    ) -> Scorer:
        """Return exact scores of many stored embeddings.

        Args:
            threads: By default a core each.
            weights: Factors on aspects, which are 1 where left out.
        """

        @torch.inference_mode()
        def fill(queries: Floats, rows: Floats, scores: Floats) -> None:
            pair = torch.from_numpy(queries), torch.from_numpy(rows.copy())  # of a read-only
            shares = self.aspect_scores(*pair) if weights else {"": self.score(*pair)}
            scores[:] = sum(weights.get(name, 1.0) * each.numpy() for name, each in shares.items())

        return partial(filled, fill, threads)

    def fast(self) -> Self:
        """Return the same function, to rounding, rearranged to embed a library; perhaps itself."""
        return self

    @property
    def corpus(self) -> str:
        """What it was trained on; empty if nothing."""
        return str(self.provenance.get("corpus", ""))

    def description(self) -> dict[str, Any]:
        """Return the plain values from which ``from_description`` rebuilds it, without weights."""
        values = {
            "system": name_of(type(self), SYSTEMS),
            "version": self.version,
            "front_ends": {side: self.front_ends[side].describe() for side in SIDES},
            **self.settings(),
        }
        return cast("dict[str, Any]", json.loads(json.dumps(values)))

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> Self:
        """Build the system that ``description`` described, with weights still to be loaded."""
        settings = dict(values)
        name, version = settings.pop("system"), settings.pop("version")
        if version != cls.version:
            raise ConfigError(
                f"The system {name} is of version {version!r}, this program makes version "
                f"{cls.version}: use the program that made it, or train again."
            )
        described = settings.pop("front_ends")
        front_ends = {side: front_end_from(described[side]) for side in SIDES}
        return cls.from_settings(front_ends, settings)

    @classmethod
    def from_settings(cls, front_ends: Mapping[Side, FrontEnd], settings: dict[str, Any]) -> Self:
        """Build it from its front ends and what ``settings`` returned: the constructor's names."""
        for name, taken in inspect.signature(cls).parameters.items():
            kind: Any = taken.annotation
            if is_dataclass(kind) and name in settings:
                settings[name] = TypeAdapter(kind).validate_python(settings[name])
        return cls(front_ends, **settings)

    @property
    def fingerprint(self) -> str:
        """A short hash of description and weights: what every stored embedding depends on."""
        digest = hashlib.sha256(json.dumps(self.description(), sort_keys=True).encode())
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: Path | str, provenance: Mapping[str, Any] | None = None) -> None:
        """Write weights, description and provenance into a safetensors file."""
        held = {"description": self.description(), "provenance": provenance or self.provenance}
        # copies, as towers may share what they hold
        weights = {n: v.detach().cpu().contiguous().clone() for n, v in self.state_dict().items()}
        written = safetensors.torch.save(weights, {"vocalsketch": json.dumps(held)})
        write_bytes(Path(path), written)

    def require(self, path: Path | str, described: Mapping[str, Any]) -> None:
        """Check that the system a file holds is this one but for its weights.

        Raises:
            CheckpointError: It is not; the first key that differs is named.
        """
        found, expected = _flat(described), _flat(self.description())
        for key in (*expected, *found):
            theirs, ours = found.get(key), expected.get(key)
            if theirs != ours:
                raise CheckpointError(
                    f"{path} holds another system than this config's: {key} is {theirs!r} there "
                    f"and {ours!r} here. Use the config it was trained with (config.yaml in its "
                    "run's folder), or give a checkpoint of this one."
                )


def filled(
    fill: Callable[[Floats, Floats, Floats], None],
    threads: int | None,
    queries: Floats,
    blocks: Sequence[Floats],
    rows_per_task: int = ROWS_PER_TASK,
) -> Floats:
    """Score queries (q, width) against all rows of blocks (n, width), in threads: (q, all n).

    ``fill`` fills its last argument (q, n) with the scores of queries and some rows.
    """
    scores = np.empty((len(queries), sum(map(len, blocks))), np.float32)
    asked = np.array(queries, np.float32)
    tasks, done = [], 0
    for block in blocks:
        for start in range(0, len(block), rows_per_task):
            rows = block[start : start + rows_per_task]
            tasks.append((asked, rows, scores[:, done : done + len(rows)]))
            done += len(rows)
    for _ in lasting_pool(threads or available_cores()).map(lambda task: fill(*task), tasks):
        pass
    return scores


def _flat(values: Mapping[str, Any], of: str = "") -> dict[str, Any]:
    """Return nested values by the keys that lead to them, joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = isinstance(value, Mapping)
        flat |= _flat(value, f"{of}{name}.") if inner else {f"{of}{name}": value}
    return flat
