"""Tags and words."""

import pyarrow as pa
import pytest

from vocalsketch.search.query import LOG_LIKELIHOOD_OF_LACK, matches_tags, text_log_likelihoods

PATHS = pa.chunked_array(
    [["Doors/x.wav", "car_door.wav", "CarDoor.wav"], ["outdoor.wav", "a.b.wav", "Türen/Tür.wav"]]
)


@pytest.mark.parametrize(
    ("text", "lacked"),
    [
        ("door", [0, 0, 0, 1, 1, 1]),
        ("DOOR", [0, 0, 0, 1, 1, 1]),
        ("car door", [1, 0, 0, 2, 2, 2]),
        ("door door", [0, 0, 0, 1, 1, 1]),
        ("tür", [1, 1, 1, 1, 1, 0]),
        ("wav", [0] * 6),
        (".*", [0] * 6),
        ("", [0] * 6),
    ],
)
def test_each_word_that_a_path_lacks_divides_its_likelihood(text: str, lacked: list[int]) -> None:
    expected = [count * LOG_LIKELIHOOD_OF_LACK for count in lacked]
    assert text_log_likelihoods(PATHS, text).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["kick"], [True, False, False]),
        (["Kick Drums"], [True, False, False]),
        (["drums"], [True, True, False]),
        (["drums", "kick"], [True, False, False]),
        (["kic"], [False, False, False]),
        (["."], [False, False, False]),
        ([], [True, True, True]),
    ],
)
def test_a_tag_is_a_folder_or_whole_words_of_its_name(wanted: list[str], found: list[bool]) -> None:
    tags = pa.chunked_array([[["drums", "kick drums"], ["drums", "kicks"], []]])
    assert matches_tags(tags, wanted).tolist() == found
