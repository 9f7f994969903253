"""Pages: they need no other file, and take names as text."""

import base64
import re
from dataclasses import replace

import pytest
from test_figures import portrait

from vocalsketch.interpret.ascent import AscentSettings, Sounds
from vocalsketch.interpret.figures import page

PICTURE, SOUND = b"\x89PNG picture", b"RIFF sound"


def patterns(subject, heard=Sounds((SOUND,), (0.5,), 1.5), **changed):
    of = portrait(subject, subject.layers[0], [3])
    pattern = replace(of.patterns[0], **changed)
    cards = [(pattern, PICTURE, heard)]
    return page(
        "patterns.html.j2",
        names=["<script>alert(1)</script>"],
        corpora=["corpus=demo"],
        compared_with="",
        slope=0.3,
        position=(3, 10),
        settings=AscentSettings(l2=0.5),
        seed=1,
        sections=[(of, cards)],
    )


def test_pictures_and_sounds_are_in_the_page_itself(subject):
    html = patterns(subject)
    found = dict(re.findall(r'src="data:(\S+);base64,([^"]+)"', html))
    assert base64.b64decode(found["image/png"]) == PICTURE
    assert base64.b64decode(found["audio/wav"]) == SOUND
    assert not re.search(r'(src|href)="(?!data:)', html)
    for said in ("corpus=demo", "position 3,10 is", "L2 0.5", "conv1, unit 3", "1 of 4 units."):
        assert said in html


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"activation": 2.0}, "0; the pattern alone activates it"),
        ({"activation": 0.0}, "neither this pattern nor noise raises the unit above 0."),
        ({"converged": False}, "<dt>ascent</dt><dd>not converged within 2 steps</dd>"),
    ],
)
def test_the_page_says_how_a_unit_answers(subject, changed, said):
    assert said in patterns(subject, **changed)


def test_what_cannot_become_sound_has_a_picture_alone(subject):
    html = patterns(subject, heard=None)
    assert "data:image/png" in html
    assert "<audio" not in html
    assert "its sound" not in html.split("<section>")[1].lower()


def test_names_are_escaped(subject):
    html = patterns(subject)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
