"""Scores from stored shares."""

import subprocess
import sys

import numba.core.caching
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vocalsketch.models.tower import MetricHead
from vocalsketch.systems import siamese
from vocalsketch.systems.siamese import head_scorer


def head_of(width: int, hidden: tuple[int, ...]) -> MetricHead:
    head = MetricHead(5, 5, (width, *hidden)).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return head


def shares(rows: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, width), dtype=np.float32)


@pytest.mark.parametrize(("hidden", "few"), [((), 0), ((), 65_536), ((7,), 0), ((7, 3), 0)])
@settings(deadline=None, max_examples=20)
@given(
    rows=st.lists(st.integers(0, 40), max_size=4),
    queries=st.integers(1, 3),
    width=st.integers(1, 20),
)
def test_scores_are_those_of_the_head_pair_by_pair(
    hidden: tuple[int, ...], few: int, rows: list[int], queries: int, width: int
) -> None:
    head = head_of(width, hidden)
    blocks = [shares(count, width, seed) for seed, count in enumerate(rows)]
    asked = shares(queries, width, 99)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(siamese, "FEW", few)
        scores = head_scorer(head, threads=2)(asked, blocks)
    stored = np.concatenate([np.zeros((0, width), np.float32), *blocks])
    with torch.no_grad():
        for query in range(queries):
            for row in range(len(stored)):
                pair = head.score(torch.from_numpy(asked[query]), torch.from_numpy(stored[row]))
                assert scores[query, row] == pytest.approx(float(pair), abs=1e-4)
    assert scores.shape == (queries, len(stored))


@pytest.mark.parametrize(("hidden", "few"), [((), 0), ((), 65_536), ((7,), 0)])
def test_however_the_rows_are_cut_the_scores_are_the_same(
    hidden: tuple[int, ...], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siamese, "FEW", few)
    head, stored, asked = head_of(12, hidden), shares(1000, 12, 0), shares(2, 12, 1)
    whole = head_scorer(head)(asked, [stored])
    monkeypatch.setattr(siamese, "ROWS_PER_TASK", 64)
    monkeypatch.setattr(siamese, "ROWS_PER_BLOCK", 30)
    cut = head_scorer(head, threads=3)(asked, [stored[:333], stored[333:]])
    np.testing.assert_allclose(cut, whole, atol=1e-5)


@pytest.mark.parametrize("few", [0, 65_536])
def test_shares_may_be_read_only_as_mapped_files_are(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siamese, "FEW", few)
    stored, asked = shares(10, 12, 0), shares(1, 12, 1)
    stored.flags.writeable = False
    asked.flags.writeable = False
    assert head_scorer(head_of(12, ()))(asked, [stored]).shape == (1, 10)


def test_a_search_of_few_sounds_does_not_load_the_compiler() -> None:
    search = (
        "import sys; import numpy as np; from vocalsketch.models.tower import MetricHead; "
        "from vocalsketch.systems.siamese import head_scorer; "
        "shares = np.zeros((10, 12), np.float32); "
        "head_scorer(MetricHead(5, 5, (12,)))(shares, [shares]); "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", search], check=False).returncode == 0


def test_kernels_are_compiled_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])

    def doubled(values, results):  # type: ignore[no-untyped-def]
        for place in range(len(values)):
            results[place] = 2 * values[place]

    results = np.zeros(3)
    siamese.compiled(doubled)(np.arange(3.0), results)
    np.testing.assert_array_equal(results, [0, 2, 4])
