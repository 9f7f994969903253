"""What a system said about every query and candidate of an evaluated half, and what it is worth.

Of the exact target the reciprocal rank (paper, section VI-B, equation 1), recall and mean rank; of
all that is relevant NDCG and average precision. Finished runs are fused by the product of their
likelihoods (section VI-D).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax

from vocalsketch.domain import Half, Kind
from vocalsketch.errors import ConfigError, StorageError, VocalSketchError
from vocalsketch.files import open_regular, written_whole

Floats = NDArray[np.floating]
Ranks = NDArray[np.float64]
LogLikelihoods = NDArray[np.float64]
RECALLED = (1, 5, 10)
# recall@k, mrr and mean_rank are of the target; ndcg and map of all that is relevant
MEASURES = ("mrr", "recall@1", "recall@5", "recall@10", "mean_rank", "ndcg", "map")
FORMAT = 1  # of the file; raised when a reader of the old layout could not read the new one


def check_targets(scores: Floats, targets: NDArray[np.integer]) -> None:
    """Check that scores (queries, candidates) and targets (queries,) fit together."""
    if scores.ndim != 2 or targets.shape != scores.shape[:1]:
        raise ValueError(
            "scores must be (queries, candidates) and targets (queries,), "
            f"got {scores.shape} and {targets.shape}"
        )
    outside = (targets < 0) | (targets >= scores.shape[1])
    if outside.any():
        raise ValueError(f"target {targets[outside][0]} is not among {scores.shape[1]} candidates")


def mid_ranks(scores: Floats, targets: NDArray[np.integer]) -> Ranks:
    """Return the rank of each query's target among all candidates; 1 is the best.

    Candidates that score the same as the target share the middle of the ranks that they take
    together, so neither their order nor a constant score helps: a model that scores all of N
    candidates alike is given rank (N + 1) / 2.

    Args:
        scores: (queries, candidates), higher is closer; infinities are allowed.
        targets: (queries,), the target's index among the candidates.

    Returns:
        (queries,) float64, whole or half numbers from 1 to ``candidates``.

    Raises:
        VocalSketchError: A score is NaN.

    >>> mid_ranks(np.array([[0.2, 0.9, 0.4], [0.5, 0.5, 0.1]]), np.array([2, 0]))
    array([2. , 1.5])
    """
    check_targets(scores, targets)
    missing = int(np.isnan(scores).sum())
    if missing:
        raise VocalSketchError(
            f"{missing} of {scores.size} scores are NaN, so nothing can be ranked: training "
            "diverged (lower the learning rate) or an input is damaged (see `data check`)."
        )
    own = scores[np.arange(len(targets)), targets][:, None]
    above = np.count_nonzero(scores > own, axis=1)
    tied = np.count_nonzero(scores == own, axis=1)  # counts the target itself
    ranks: Ranks = 1.0 + above + (tied - 1) / 2.0
    return ranks


def mean_reciprocal_rank(scores: Floats, targets: NDArray[np.integer]) -> float:
    """Return the mean over queries of 1 / rank of the target (equation 1), in (0, 1]."""
    if len(targets) == 0:
        raise VocalSketchError("No query to rank (0 imitations): the mean reciprocal rank is void.")
    return float((1.0 / mid_ranks(scores, targets)).mean())


def chance_mrr(candidates: int) -> float:
    """Return the MRR that random scores reach on average: H_n / n for n candidates.

    >>> round(chance_mrr(20), 3), round(chance_mrr(60), 3)
    (0.18, 0.078)
    """
    return float(np.mean(1.0 / np.arange(1, candidates + 1)))


@dataclass(frozen=True, eq=False)
class CategoryScores:
    """The scores of one category's queries against all of its candidates."""

    category: str  # such as ``acoustic instruments``
    queries: tuple[str, ...]  # imitation ids, one per row
    candidates: tuple[str, ...]  # sound ids, one per column
    targets: NDArray[np.integer]  # (queries,), the index of each query's among the candidates
    scores: Floats  # (queries, candidates), higher is closer
    classes: tuple[tuple[str, ...], ...] = ()  # of each candidate; empty where none is known

    def __post_init__(self) -> None:
        queries, sounds, classes = map(len, (self.queries, self.candidates, self.classes))
        if self.scores.shape != (queries, sounds) or classes not in (0, sounds):
            raise ValueError(
                f"{self.category}: {queries} queries of {sounds} candidates need other scores or "
                f"classes than {self.scores.shape} and {classes}"
            )
        check_targets(self.scores, self.targets)
        if len(set(self.candidates)) != sounds:
            raise ValueError(f"{self.category}: a candidate is listed twice")

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """(queries, candidates), whether one answers: the target itself, or one of its classes."""
        kinds = {name for names in self.classes for name in names}
        alike = np.eye(len(self.candidates), dtype=bool)
        for name in kinds:
            held = np.flatnonzero([name in names for names in self.classes])
            alike[np.ix_(held, held)] = True
        answers: NDArray[np.bool_] = alike[self.targets]
        return answers

    @property
    def ranks(self) -> Ranks:
        """(queries,) float64, the mid-rank of each query's target."""
        return mid_ranks(self.scores, self.targets)


def measured(category: CategoryScores) -> Ranks:
    """Return every measure of every query, (queries, ``MEASURES``)."""
    ranks = mid_ranks(category.scores, category.targets)
    ndcg, precision = graded(category.scores, category.relevant)
    recalled = [(ranks <= count).astype(np.float64) for count in RECALLED]
    return np.stack([1.0 / ranks, *recalled, ranks, ndcg, precision], axis=1)


def chances(category: CategoryScores) -> tuple[float, float]:
    """Return the MRR and the mean NDCG that random scores reach on average."""
    counts = category.relevant.sum(axis=1)
    gains = _discounts(len(category.candidates))
    expected = counts * gains.mean() / np.cumsum(gains)[counts - 1]
    return chance_mrr(len(gains)), float(expected.mean())


def graded(scores: Floats, relevant: NDArray[np.bool_]) -> tuple[Ranks, Ranks]:
    """Return each query's NDCG and average precision.

    Both are averages over all orders of candidates that score the same, so that their order in
    the matrix does not help. NDCG has binary gains and a discount of 1 / log2(rank + 1) down to
    the last rank (the AES AIMLA challenge's; Järvelin and Kekäläinen, TOIS 2002).

    Args:
        scores: (queries, candidates), higher is closer; no NaN.
        relevant: (queries, candidates), at least one of each query.

    Returns:
        Two of (queries,), in (0, 1].

    >>> ndcg, precision = graded(np.array([[0.9, 0.5, 0.1]]), np.array([[False, True, True]]))
    >>> ndcg.round(3), precision.round(3)  # precision (1/2 + 2/3) / 2
    (array([0.693]), array([0.583]))
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    wanted = np.take_along_axis(relevant, order, axis=1).astype(np.int64)
    place = np.arange(scores.shape[1])
    begins = np.ones(scores.shape, dtype=bool)
    begins[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    ends = np.roll(begins, -1, axis=1)
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, place[-1])[:, ::-1], axis=1)[:, ::-1]
    so_far = np.cumsum(wanted, axis=1)
    before = np.take_along_axis(so_far - wanted, first, axis=1)
    tied_wanted = np.take_along_axis(so_far, last, axis=1) - before
    tied = last - first + 1
    here = tied_wanted / tied  # the chance that what stands at a rank is relevant
    others = (place - first) * (tied_wanted - 1) / np.maximum(tied - 1, 1)
    precision = (before + 1 + others) / (place + 1)  # where it is
    counts = wanted.sum(axis=1)
    gains = _discounts(len(place))
    return here @ gains / np.cumsum(gains)[counts - 1], (here * precision).sum(axis=1) / counts


def _discounts(candidates: int) -> Ranks:
    return 1.0 / np.log2(np.arange(2, candidates + 2))


@dataclass(frozen=True, eq=False)
class Scores:
    """Every score of one system on one half of one split."""

    kind: Kind
    corpus: str  # ``Corpus.name``
    split: str  # the split's fingerprint
    split_name: str  # for people
    half: Half
    system: str  # what made the scores, such as ``iminet_tied``
    categories: tuple[CategoryScores, ...]

    def __post_init__(self) -> None:
        for value, known in ((self.kind, get_args(Kind)), (self.half, get_args(Half))):
            if value not in known:
                raise ValueError(f"{value!r} is none of {', '.join(known)}")
        names = [category.category for category in self.categories]
        if len(set(names)) != len(names):
            raise ValueError(f"a category is listed twice: {', '.join(names)}")

    def save(self, path: Path) -> None:
        """Write to ``path`` as npz: ids and names as JSON, and two arrays per category."""
        plain = [
            {name: v for name, v in vars(each).items() if name not in ("targets", "scores")}
            for each in self.categories
        ]
        header = json.dumps({"format": FORMAT, **vars(self), "categories": plain}).encode("utf-8")
        arrays: dict[str, NDArray[Any]] = {"header": np.frombuffer(header, dtype=np.uint8)}
        for number, category in enumerate(self.categories):
            arrays[f"targets_{number}"] = category.targets
            arrays[f"scores_{number}"] = category.scores
        # A handle, because numpy appends .npz to a name that lacks it.
        with written_whole(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **arrays)

    @classmethod
    def _from(cls, header: dict[str, Any], arrays: Any) -> "Scores":
        if header.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}, which this version reads")
        categories = [
            CategoryScores(
                entry["category"],
                tuple(entry["queries"]),
                tuple(entry["candidates"]),
                arrays[f"targets_{number}"],
                arrays[f"scores_{number}"],
                tuple(map(tuple, entry.get("classes", ()))),
            )
            for number, entry in enumerate(header.pop("categories"))
        ]
        return cls(**header, categories=tuple(categories))

    @classmethod
    def load(cls, path: Path) -> "Scores":
        """Read what ``save`` wrote; nothing is unpickled.

        Raises:
            StorageError: The file is missing, damaged or not a scores file.
        """
        try:
            # A handle, because numpy leaves a damaged file open.
            with open_regular(path) as handle, np.load(handle, allow_pickle=False) as arrays:
                header = json.loads(arrays["header"].tobytes().decode("utf-8"))
                return cls._from(header, arrays)
        except FileNotFoundError as error:
            raise StorageError(
                f"No scores at {path}: `vocalsketch test` or `predict` writes them."
            ) from error
        except Exception as error:  # numpy and zip stumble in many ways
            raise StorageError(
                f"{path} is no readable scores file ({error}): write it again with "
                "`vocalsketch test` or `predict`."
            ) from error


def log_likelihoods(scores: Floats, kind: Kind) -> LogLikelihoods:
    """Return the logarithm of the likelihood that each candidate is the query's target.

    A network's is the sigmoid of its logit. IMISOUND's is the softmax over the category's
    candidates of the negative cosine distance, 1 - cosine similarity (equation 3); of a system
    that gives a distance it is the softmax of the negative distance likewise.

    Of one category, (queries, candidates) to (queries, candidates) float64, at most 0.

    Raises:
        ConfigError: The scores have no meaning as likelihoods.
    """
    wide: LogLikelihoods = np.asarray(scores, dtype=np.float64)
    likelihoods: Mapping[Kind, Callable[[], LogLikelihoods]] = {
        "logit": lambda: log_expit(wide),
        "cosine": lambda: log_softmax(-(1.0 - wide), axis=1),
        "distance": lambda: log_softmax(wide, axis=1),
        "log_likelihood": lambda: wide,
    }
    if kind not in likelihoods:
        raise ConfigError(
            f"scores of kind {kind!r} are not likelihoods and cannot be fused: fuse logits, "
            "cosine similarities, distances and fusions of these"
        )
    return likelihoods[kind]()


def fuse(systems: Sequence[Scores]) -> Scores:
    """Return the product of the systems' likelihoods (equations 2, 4 and 5), as logarithms.

    The result is the same to the last bit in whichever order the systems are given.

    Raises:
        ConfigError: The systems did not rank the same, or a system's scores are no likelihoods.
    """
    if not systems:
        raise ConfigError("nothing to fuse: name at least one finished run")
    for other in systems[1:]:
        refuse_different_queries(systems[0], other)
    categories = tuple(
        replace(category, scores=_product([each.categories[number] for each in systems], systems))
        for number, category in enumerate(systems[0].categories)
    )
    joined = "+".join(each.system for each in systems)
    return replace(systems[0], kind="log_likelihood", system=joined, categories=categories)


def refuse_different_queries(one: Scores, other: Scores) -> None:
    """Refuse two systems that did not rank the same candidates for the same queries."""
    pair = f"{one.system} and {other.system} do not belong together"
    for what in ("corpus", "split", "half"):
        mine, theirs = getattr(one, what), getattr(other, what)
        if mine != theirs:
            raise ConfigError(f"{pair}: their {what} differs, {mine!r} and {theirs!r}")
    mine, theirs = ([each.category for each in scores.categories] for scores in (one, other))
    compared: list[tuple[str, Any, Any]] = [("categories", mine, theirs)]
    compared += [
        (f"{what} in {a.category}", getattr(a, what), getattr(b, what))
        for a, b in zip(one.categories, other.categories, strict=False)
        for what in ("queries", "candidates", "targets")
    ]
    for what, ours, others in compared:
        if not np.array_equal(ours, others):
            only = sorted(set(ours) ^ set(others))
            lacks = f", {len(only)} are only in one, such as {only[0]!r}" if only else ""
            raise ConfigError(f"{pair}: their {what} differ{lacks or ' in their order'}")


def _product(parts: Sequence[CategoryScores], systems: Sequence[Scores]) -> LogLikelihoods:
    pairs = zip(parts, systems, strict=True)
    logs = [log_likelihoods(part.scores, system.kind) for part, system in pairs]
    # Sorted first, because rounding depends on the order of a sum and ties would with it.
    total: LogLikelihoods = np.sort(np.stack(logs), axis=0).sum(axis=0)
    return total
