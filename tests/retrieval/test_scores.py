"""Score matrices and their files."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from vocalsketch.errors import StorageError
from vocalsketch.retrieval.scores import CategoryScores, Scores


def made_up() -> Scores:
    first = CategoryScores(
        "acoustic instruments",
        ("a - 1.wav", "b - 2.wav"),
        ("a.wav", "b.wav", "ç\udc80.wav"),
        np.array([0, 1]),
        np.array([[0.3, -0.2, -np.inf], [1.5, 0.1, 0.1]], dtype=np.float32),
    )
    empty = CategoryScores(
        "everyday", (), ("c.wav",), np.empty(0, dtype=np.int64), np.empty((0, 1))
    )
    return Scores("logit", "demo", "abc123", "paper", "test", "iminet_tied", (first, empty))


def test_a_file_gives_back_what_was_saved(tmp_path):
    scores = made_up()
    path = tmp_path / "new" / "scores.of.a.run"
    scores.save(path)
    assert [p.name for p in path.parent.iterdir()] == ["scores.of.a.run"]
    back = Scores.load(path)
    for name in ("kind", "corpus", "split", "split_name", "half", "system"):
        assert getattr(back, name) == getattr(scores, name)
    for saved, read in zip(scores.categories, back.categories, strict=True):
        assert (read.category, read.queries, read.candidates) == (
            saved.category,
            saved.queries,
            saved.candidates,
        )
        np.testing.assert_array_equal(read.targets, saved.targets)
        np.testing.assert_array_equal(read.scores, saved.scores)
        assert read.scores.dtype == saved.scores.dtype


def test_the_same_scores_make_the_same_bytes(tmp_path):
    made_up().save(tmp_path / "one.npz")
    made_up().save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_ranks_of_a_category():
    assert made_up().categories[0].ranks.tolist() == [1.0, 2.5]


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, header=np.array([{"format": 1}], dtype=object))
    return buffer.getvalue()


def without_scores() -> bytes:
    buffer = io.BytesIO()
    header = np.frombuffer(b'{"format": 1, "kind": "logit"}', dtype=np.uint8)
    np.savez(buffer, header=header)
    return buffer.getvalue()


def of_a_later_format() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, header=np.frombuffer(b'{"format": 99}', dtype=np.uint8))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no readable scores file"),
        (b"not a zip", "no readable scores file"),
        (pickled(), "no readable scores file"),
        (without_scores(), "no readable scores file"),
        (of_a_later_format(), "format is not 1"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, message):
    path = tmp_path / "scores.npz"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=message) as caught:
        Scores.load(path)
    assert str(path) in str(caught.value)


def test_a_file_cut_off_is_named(tmp_path):
    path = tmp_path / "scores.npz"
    made_up().save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StorageError, match="no readable scores file"):
        Scores.load(path)


@pytest.mark.parametrize("offset", [70, 90, 110])
def test_a_file_with_a_changed_byte_is_named(tmp_path, offset):
    path = tmp_path / "scores.npz"
    made_up().save(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = archive.getinfo("scores_0.npy").header_offset + offset
    path.write_bytes(whole[:start] + bytes([whole[start] ^ 255]) + whole[start + 1 :])
    with pytest.raises(StorageError, match="no readable scores file"):
        Scores.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"No scores at .*gone\.npz"):
        Scores.load(tmp_path / "gone.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": ("a",)}, "1 queries of 3 candidates"),
        ({"targets": np.array([0])}, r"got \(2, 3\) and \(1,\)"),
        ({"targets": np.array([0, 3])}, "target 3 is not among 3 candidates"),
        ({"candidates": ("a", "a", "b")}, "a candidate is listed twice"),
    ],
)
def test_a_category_that_does_not_fit_together_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(made_up().categories[0], **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "loudness"}, "'loudness' is none of logit, "),
        ({"half": "train"}, "'train' is none of validation, test"),
        ({"categories": made_up().categories[:1] * 2}, "a category is listed twice"),
    ],
)
def test_scores_of_an_unknown_kind_or_half_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(made_up(), **change)
