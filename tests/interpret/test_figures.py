"""Figures: axes in seconds and hertz, one picture where one belongs, the same file each time."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from vocalsketch.features.contours import ContourFeatures
from vocalsketch.features.mel import RecordingLogMel
from vocalsketch.interpret.ascent import Pattern, Portrait
from vocalsketch.interpret.figures import as_svg, draw_spectrogram, gallery_figure, pattern_figure


def portrait(subject, layer, units, dead=()):
    inputs = 2 if layer.part == "pair" else 1
    patterns = [
        Pattern(
            layer,
            unit,
            tuple(torch.randn(inputs, 12, 20, generator=torch.Generator().manual_seed(unit))),
            0.0 if unit in dead else 1.0,
            torch.zeros(200),
            None,
            [0.0, 1.0],
            True,
        )
        for unit in units
    ]
    return Portrait(subject, layer, patterns, None)


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.axison]


def test_axes_are_in_seconds_and_at_the_bands_frequencies():
    front_end = RecordingLogMel()
    axes = Figure().subplots()
    draw_spectrogram(axes, torch.randn(front_end.shape), front_end)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("s", "Hz")
    assert axes.get_xlim() == pytest.approx((0, 128 * 1024 / 44_100))
    labels = [int(label.get_text().replace(",", "")) for label in axes.get_yticklabels()]
    assert len(labels) >= 4
    assert np.diff(axes.get_yticks()).min() > 128 / 6  # labels do not touch
    centres = front_end.frequencies()
    for hertz, place in zip(labels, axes.get_yticks(), strict=True):
        assert abs(centres[round(place)] - hertz) <= np.diff(centres)[max(0, round(place) - 1)]


def test_towers_have_a_row_of_units_for_each_layer_and_checkpoints_stand_side_by_side(subject):
    conv1, conv2 = subject.layers[:2]
    column = [portrait(subject, conv1, range(4)), portrait(subject, conv2, range(3))]
    figure = gallery_figure([column, column])
    once = [f"conv1, unit {n}" for n in range(4)] + [f"conv2, unit {n}" for n in range(3)]
    assert sorted(titles(figure)) == sorted(once * 2)
    headings = [part.get_suptitle() for part in figure.subfigs]
    assert headings == ["small (corpus=demo)"] * 2


def test_pairs_have_both_inputs_in_a_row(subject):
    fc1 = subject.layers[4]
    figure = gallery_figure([[portrait(subject, fc1, [0, 7])]])
    assert titles(figure) == [
        "fc1, unit 0, imitation",
        "fc1, unit 0, recording",
        "fc1, unit 7, imitation",
        "fc1, unit 7, recording",
    ]
    figure.draw_without_rendering()
    for axes in figure.axes:  # each side has bands of its own, so hertz of its own
        assert axes.get_ylabel() == "Hz"
        assert axes.yaxis.get_ticklabels()[0].get_visible()
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "s", "s"]


def test_a_figure_shows_four_units_of_a_layer_at_most(subject):
    wide = subject.layers[1]
    figure = gallery_figure([[portrait(subject, wide, range(5))]])
    assert len(titles(figure)) == 4


def test_a_dead_unit_is_said_to_be_dead(subject):
    conv1 = subject.layers[0]
    figure = gallery_figure([[portrait(subject, conv1, [0, 1], dead=[1])]])
    said = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert said == [[], ["dead"]]


def test_a_pattern_is_drawn_with_the_curve_of_its_ascent(subject):
    of = portrait(subject, subject.layers[4], [2])
    figure = pattern_figure(of.patterns[0])
    assert titles(figure) == ["imitation", "recording", "activation (leaky)"]
    assert figure.axes[-1].lines[0].get_xydata().tolist() == [[1.0, 0.0], [2.0, 1.0]]


def test_what_contours_tell_is_named() -> None:
    front_end = ContourFeatures()
    axes = Figure().subplots()
    draw_spectrogram(axes, torch.randn(front_end.shape), front_end)
    names = [each.get_text() for each in axes.get_yticklabels()]
    assert dict(zip(names, axes.get_yticks(), strict=True)) == {
        "loudness": 9.5,
        "pitch": 29.5,
        "tone or noise": 49.5,
        "brightness": 69.5,
        "timbre": 119.5,
        "duration": 160.0,
    }
    assert axes.get_xlabel() == ""
    assert len(axes.get_xticks()) == 0


def test_the_same_patterns_give_the_same_file(subject):
    columns = [[portrait(subject, subject.layers[0], [0])]]
    first, again = (as_svg(gallery_figure(columns)) for _ in range(2))
    assert first == again
