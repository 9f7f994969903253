"""What was found, as HTML."""

import re
from pathlib import Path

from vocalsketch.search import Hit
from vocalsketch.web.finding import Found, Place
from vocalsketch.web.results import notice_html, results_html


def hit(rank: int, probability: float, path: str = "a/b.wav", start: float = 0.0) -> Hit:
    end, duration = start + 4, 3800.0
    return Hit(rank, path, Path(path), start, end, 0.0, probability, duration, 44_100, ("a",))


def test_bars_compare_odds_with_the_best() -> None:
    html = results_html(Found([hit(1, 0.8), hit(2, 0.5), hit(3, 0.0)], None, 0, 3))
    assert re.findall(r'style="width:([\d.]+)%"></span></span>', html) == ["100.0", "25.0", "0.0"]


def test_likelihoods_are_never_rounded_to_certainty() -> None:
    html = results_html(Found([hit(1, 1.0), hit(2, 0.99951), hit(3, 3e-7)], None, 0, 3))
    assert re.findall(r"likelihood </span>([^<]*)<", html) == ["&gt; 0.999", "&gt; 0.999", "3e-07"]


def test_a_part_of_a_long_sound_is_said_and_shown() -> None:
    html = results_html(Found([hit(1, 0.8, start=1900.0)], None, 0, 3))
    assert "31:40 to 31:44 of 1:03:20" in html
    assert "left:50.0%" in html
    assert "clip?index=0&amp;path=a%2Fb.wav&amp;start=1900" in html


def test_names_are_text_wherever_they_stand() -> None:
    path = 'x"><script>alert(1)</script>/&quot;.wav'
    html = results_html(Found([hit(1, 0.8, path)], Place(path, 0.0), 0, 3))
    assert "<script" not in html
    assert 'data-path="x&#34;&gt;&lt;script&gt;' in html
    assert "<b>" not in notice_html("<b>", "<b>", refused=True)
