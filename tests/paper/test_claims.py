"""Statements judged on made-up tables with known answers."""

import pytest

from vocalsketch.paper.claims import CLAIMS, Claim, judge, judgements
from vocalsketch.paper.measured import Measured
from vocalsketch.paper.rows import CATEGORIES, ROWS, printed_sample
from vocalsketch.retrieval.results import Sample

CLAIM = Claim("a beats b", "I", (("a", "b"),))


def table_of(**rows):
    """Samples of ten seeds with deviation 0.01 from {row: means by category}."""

    def sample(key, category):
        if key not in rows or category not in ("bells", "dogs"):
            return None
        return Sample(rows[key][("bells", "dogs").index(category)], 0.01, 10)

    return sample


@pytest.mark.parametrize(
    ("a", "b", "verdict", "above", "significant"),
    [
        ((0.5, 0.4), (0.4, 0.3), "held", 2, 2),
        ((0.5, 0.301), (0.4, 0.300), "not significant", 2, 1),
        ((0.5, 0.3), (0.4, 0.3), "not held", 1, 1),  # equal is not above
        ((0.3, 0.3), (0.4, 0.4), "not held", 0, 0),  # significantly below is not above
    ],
)
def test_verdicts(a, b, verdict, above, significant):
    found, evidence = judge(CLAIM, table_of(a=a, b=b), ("bells", "dogs"))
    assert found == verdict
    assert evidence.startswith(f"higher in {above} of 2, significantly in {significant}")


def test_what_speaks_against_a_claim_is_named():
    _, evidence = judge(CLAIM, table_of(a=(0.5, 0.2), b=(0.4, 0.3)), ("bells", "dogs"))
    assert evidence.endswith(": a not above b on dogs")


def test_a_claim_about_a_chain_needs_every_link():
    chain = Claim("rises", "I", (("b", "a"), ("c", "b")))
    rising = table_of(a=(0.2, 0.2), b=(0.3, 0.3), c=(0.4, 0.4))
    broken = table_of(a=(0.2, 0.2), b=(0.3, 0.5), c=(0.4, 0.4))
    assert judge(chain, rising, ("bells", "dogs"))[0] == "held"
    assert judge(chain, broken, ("bells", "dogs"))[1].endswith(": c not above b on dogs")


def test_a_claim_about_some_categories_does_not_look_at_others():
    some = Claim("a beats b on bells", "I", (("a", "b"),), ("bells",))
    assert judge(some, table_of(a=(0.5, 0.1), b=(0.4, 0.3)), ("bells", "dogs"))[0] == "held"


@pytest.mark.parametrize("categories", [("bells", "cats"), ("cats",)])
def test_a_missing_category_or_row_is_not_judged(categories):
    whole = table_of(a=(0.5, 0.4), b=(0.4, 0.3))
    assert judge(CLAIM, whole, categories)[0] == "not run"
    assert judge(CLAIM, table_of(a=(0.5, 0.4)), ("bells", "dogs"))[0] == "not run"


def test_one_seed_is_never_significant():
    def sample(key, category):
        return Sample({"a": 0.9, "b": 0.1}[key], float("nan"), 1)

    assert judge(CLAIM, sample, ("bells",))[0] == "not significant"


def test_significance_is_corrected_for_the_comparisons_of_the_claim():
    # Alone p is about 0.03; of four such comparisons none is significant.
    def sample(key, category):
        return Sample({"a": 0.4105, "b": 0.4}[key], 0.01, 10)

    assert judge(CLAIM, sample, ("one",))[0] == "held"
    assert judge(CLAIM, sample, ("one", "two", "three", "four"))[0] == "not significant"


def test_claims_are_about_rows_and_categories_that_there_are():
    keys = {row.key for row in ROWS if row.block}
    for claim in CLAIMS:
        assert {key for pair in claim.pairs for key in pair} <= keys
        assert set(claim.categories or ()) <= set(CATEGORIES)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("Tied beats untied", "not significant"),
        ("Tied IMINET beats IMISOUND", "held"),
        ("MRR rises with the layers", "not held"),
        ("Every IMINET improves when fused", "held"),
    ],
)
def test_the_papers_own_table(words, verdict):
    (claim,) = (claim for claim in CLAIMS if claim.statement.startswith(words))
    assert judge(claim, printed_sample, CATEGORIES)[0] == verdict


def test_claims_that_were_judged_come_first(ranked):
    runs = {key: {0: ranked({"everyday": [1, 2]}, key)} for key in ("tl_none", "iminet_tied")}
    verdicts = judgements(Measured(runs))["here"].tolist()
    assert verdicts[0] == "not held"  # equal
    assert set(verdicts[1:]) == {"not run"}


def test_evidence_of_one_seed_has_no_test_and_names_each_pair_once():
    def sample(key, category):
        return Sample(0.5 if key == "iminet_tied" else 0.6, float("nan"), 1)

    claim = next(each for each in CLAIMS if each.statement.startswith("Tied beats untied"))
    assert judge(claim, sample, ("bells", "dogs"))[1] == (
        "higher in 0 of 2, no test: IMINET Tied not above IMINET Untied on bells, dogs"
    )
