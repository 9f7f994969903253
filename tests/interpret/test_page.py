"""The page: needs no other file, and takes names as text."""

import base64
import re

from vocalsketch.interpret.page import Card, Section, page

PICTURE, SOUND = b"\x89PNG picture", b"RIFF sound"


def test_pictures_and_sounds_are_in_the_page_itself():
    card = Card("conv1, unit 3", PICTURE, "a pattern", {"its sound": SOUND}, {"reached": "1.5"})
    html = page("Title", "trained on corpus=demo", ["Read this."], [Section("conv1", "4", [card])])
    found = dict(re.findall(r'src="data:(\S+);base64,([^"]+)"', html))
    assert base64.b64decode(found["image/png"]) == PICTURE
    assert base64.b64decode(found["audio/wav"]) == SOUND
    assert not re.search(r'(src|href)="(?!data:)', html)
    for said in ("corpus=demo", "Read this.", "conv1, unit 3", "<dt>reached</dt><dd>1.5</dd>"):
        assert said in html


def test_names_are_escaped():
    card = Card("<b>x</b>", PICTURE, '"><script>', note="<i>dead</i>")
    html = page("<script>alert(1)</script>", "c", ["<p>"], [Section("<h1>", "&", [card])])
    assert "<script>" not in html
    assert "&lt;i&gt;dead&lt;/i&gt;" in html
