"""Fusion of finished runs by the product of their likelihoods (paper, section VI-D)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax

from vocalsketch.domain import Kind
from vocalsketch.errors import ConfigError
from vocalsketch.retrieval.ranking import Floats
from vocalsketch.retrieval.scores import CategoryScores, Scores

LogLikelihoods = NDArray[np.float64]


def log_likelihoods(scores: Floats, kind: Kind) -> LogLikelihoods:
    """Return the logarithm of the likelihood that each candidate is the query's target.

    A network's is the sigmoid of its logit. IMISOUND's is the softmax over the category's
    candidates of the negative cosine distance, 1 - cosine similarity (equation 3); of a system
    that gives a distance it is the softmax of the negative distance likewise.

    Args:
        scores: (queries, candidates) of one category.
        kind: What the scores are, see ``Scores.kind``.

    Returns:
        (queries, candidates) float64, at most 0.

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


def fuse(systems: Sequence[Scores], name: str | None = None) -> Scores:
    """Return the product of the systems' likelihoods (equations 2, 4 and 5), as logarithms.

    The result is the same to the last bit in whichever order the systems are given.

    Args:
        systems: Scores of finished runs on the same half of the same split.
        name: ``Scores.system`` of the fusion; by default the systems' names joined by ``+``.

    Raises:
        ConfigError: The systems differ in corpus, split, half, categories, queries or
            candidates, which is named; or a system's scores are no likelihoods.
    """
    if not systems:
        raise ConfigError("nothing to fuse: name at least one finished run")
    for other in systems[1:]:
        refuse_different_queries(systems[0], other)
    categories = tuple(
        replace(category, scores=_product([each.categories[number] for each in systems], systems))
        for number, category in enumerate(systems[0].categories)
    )
    joined = name if name is not None else "+".join(each.system for each in systems)
    return replace(systems[0], kind="log_likelihood", system=joined, categories=categories)


def refuse_different_queries(one: Scores, other: Scores) -> None:
    """Check that two systems ranked the same candidates for the same queries.

    Raises:
        ConfigError: They differ in corpus, split, half, categories, queries, candidates or
            targets; the first difference is named.
    """
    pair = f"{one.system} and {other.system} do not belong together"
    for what in ("corpus", "split", "half"):
        mine, theirs = getattr(one, what), getattr(other, what)
        if mine != theirs:
            raise ConfigError(f"{pair}: their {what} differs, {mine!r} and {theirs!r}")
    _refuse_other_ids(
        f"{pair}: their categories differ",
        tuple(each.category for each in one.categories),
        tuple(each.category for each in other.categories),
    )
    for mine, theirs in zip(one.categories, other.categories, strict=True):
        for what in ("queries", "candidates"):
            said = f"{pair}: their {what} in {mine.category} differ"
            _refuse_other_ids(said, getattr(mine, what), getattr(theirs, what))
        if not np.array_equal(mine.targets, theirs.targets):
            raise ConfigError(f"{pair}: their targets in {mine.category} differ")


def _product(parts: Sequence[CategoryScores], systems: Sequence[Scores]) -> LogLikelihoods:
    logs = [
        log_likelihoods(part.scores, system.kind)
        for part, system in zip(parts, systems, strict=True)
    ]
    # Sorted first, because rounding depends on the order of a sum and ties would with it.
    total: LogLikelihoods = np.sort(np.stack(logs), axis=0).sum(axis=0)
    return total


def _refuse_other_ids(what: str, one: tuple[str, ...], other: tuple[str, ...]) -> None:
    if one == other:
        return
    first, second = sorted(set(one) - set(other)), sorted(set(other) - set(one))
    if not (first or second):
        raise ConfigError(f"{what} in their order")
    only = [
        f"{len(ids)} only in the {side}, such as {ids[0]!r}"
        for ids, side in ((first, "first"), (second, "second"))
        if ids
    ]
    raise ConfigError(f"{what}: {'; '.join(only)}")
