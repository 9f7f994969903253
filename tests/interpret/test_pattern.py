"""Patterns of a network's units: far above other inputs, repeatable, dead where they are dead."""

import copy
from dataclasses import replace

import pytest
import torch

from vocalsketch.interpret.ascent import AscentSettings, Pattern, maximise

SETTINGS = AscentSettings(steps=300)


def layer_of(subject, name, part="imitation", position=None):
    layer = next(each for each in subject.layers if (each.name, each.part) == (name, part))
    return replace(layer, position=position)


def clips_like(subject, layer):
    """Return spectrograms of tones, sweeps and bursts, one set for each input."""
    time = torch.arange(2000) / 4000
    tones = [torch.sin(2 * torch.pi * hertz * time) for hertz in (150, 400, 900, 1700)]
    sweeps = [torch.sin(2 * torch.pi * (100 + rise * time) * time) for rise in (400, 1500)]
    bursts = [tone * (time % 0.1 < 0.05) for tone in tones]
    waveforms = torch.stack([*tones, *sweeps, *bursts])
    return {side: subject.network.front_ends[side](waveforms) for side in layer.sides}


@pytest.mark.parametrize(
    ("name", "part", "position", "least"),
    [
        ("conv1", "imitation", None, 1.2),  # the mean over a channel has a low ceiling, see below
        ("conv1", "imitation", "centre", 3.0),
        ("conv2", "recording", None, 1.5),
        ("fc1", "pair", None, 2.0),
    ],
)
def test_ascent_rises_far_above_noise_and_real_clips(subject, name, part, position, least):
    layer = layer_of(subject, name, part, position)
    clips = clips_like(subject, layer)
    portrait = maximise(subject, layer, [0, 1, 2], settings=SETTINGS, clips=clips)
    for pattern in portrait.patterns:
        noise, real = pattern.ratio(pattern.noise), pattern.ratio(pattern.clips)
        print(f"{part} {name} {pattern.unit}: {noise:.1f} x noise, {real:.1f} x clips")
        assert len(pattern.noise) == 200
        assert noise > least
        assert real > least


def gratings(bins, frames):
    """Return standardised waves in each direction and of each width, (waves, bins, frames)."""
    down, along = torch.arange(bins)[:, None] / bins, torch.arange(frames)[None] / frames
    waves = torch.stack([
        torch.cos(2 * torch.pi * (rate * down + times * along + phase))
        for rate in range(bins // 2)
        for times in range(-frames // 2, frames // 2)
        for phase in (0.0, 0.25)
        if rate or times > 0
    ])  # fmt: skip
    return waves / waves.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp(min=1e-3)


def test_in_conv1_a_pattern_comes_close_to_the_best_wave(subject):
    # the mean of a rectified wave is close to the most that a bounded input can reach
    layer = layer_of(subject, "conv1")
    portrait = maximise(subject, layer, range(layer.units), settings=SETTINGS)
    best = layer.activations((gratings(12, 20),)).amax(dim=0)
    for pattern, wave in zip(portrait.patterns, best, strict=True):
        print(f"conv1 {pattern.unit}: {pattern.activation / float(wave):.2f} x the best wave")
        assert pattern.activation > 0.85 * float(wave)


def test_the_same_seed_gives_the_same_patterns_and_another_seed_others(subject):
    layer = layer_of(subject, "conv2")
    first, again, other = (
        maximise(subject, layer, [1], settings=SETTINGS, seed=seed).patterns[0].spectrograms[0]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.1)


def test_a_units_pattern_does_not_depend_on_the_others_of_its_batch(subject):
    layer = layer_of(subject, "conv1")
    alone = maximise(subject, layer, [2], settings=SETTINGS).patterns[0]
    among = maximise(subject, layer, [0, 1, 2, 3], settings=SETTINGS).patterns[2]
    torch.testing.assert_close(alone.spectrograms[0], among.spectrograms[0], atol=1e-3, rtol=0)


def test_the_network_is_left_as_it_was(subject):
    before = copy.deepcopy(subject.network.state_dict())
    maximise(subject, layer_of(subject, "fc1", "pair"), [0], settings=SETTINGS)
    after = subject.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in subject.network.parameters())


def test_a_dead_unit_is_told_from_one_that_no_clip_activates(subject):
    stage = subject.network.imitation_tower.stages[0]
    stage.conv.weight.data[:2] = 0.0
    stage.conv.weight.data[1, 0, 1, 1] = 1.0
    stage.conv.bias.data[:2] = torch.tensor([-1.0, -8.0])  # unit 1 needs a value above 8
    layer = layer_of(subject, "conv1", position="centre")
    clips = clips_like(subject, layer)
    portrait = maximise(subject, layer, [0, 1, 2], settings=SETTINGS, clips=clips)
    dead, silent, alive = portrait.patterns
    assert (dead.dead, silent.dead, alive.dead) == (True, False, False)
    assert (dead.silent_on_clips, silent.silent_on_clips) == (False, True)
    assert dead.activation == 0.0
    assert silent.activation > 1.0
    assert portrait.silent is not None
    assert {0, 1} <= set(portrait.silent)


def test_a_single_position_of_conv1_is_maximised_by_its_kernel(subject):
    stage = subject.network.imitation_tower.stages[0]
    kernel = stage.conv.weight.data[3, 0]
    layer = layer_of(subject, "conv1", position=(4, 6))
    pattern = maximise(subject, layer, [3], settings=SETTINGS).patterns[0]
    full = torch.zeros(subject.network.front_ends["imitation"].shape)
    full[4:7, 6:9] = kernel
    full -= full.mean()
    expected = full / full.square().mean().sqrt()
    torch.testing.assert_close(pattern.spectrograms[0], expected, atol=5e-3, rtol=0)


def test_without_leaky_units_ascent_from_where_a_unit_is_off_goes_nowhere(subject):
    subject.network.imitation_tower.stages[0].conv.bias.data[:] = -8.0
    layer = layer_of(subject, "conv1", position="centre")
    stuck, risen = (
        maximise(replace(subject, slope=slope), layer, [0], settings=SETTINGS)
        .patterns[0].activation
        for slope in (0.0, 0.3)
    )  # fmt: skip
    assert stuck == 0.0
    assert risen > 1.0


def test_activity_is_compared_within_the_unchanged_network(subject):
    layer = layer_of(subject, "conv1")
    pattern = maximise(subject, layer, [0], settings=SETTINGS).patterns[0]
    plain = layer.respond(pattern.spectrograms[0][None])[0, 0].mean().detach()
    assert pattern.activation == pytest.approx(float(plain), rel=1e-5)
    leaky = subject.leaky_layers[0].respond(pattern.spectrograms[0][None])[0, 0].mean()
    assert max(pattern.curve) == pytest.approx(float(leaky), rel=1e-5)
    assert replace(pattern, activation=1.0).ratio(torch.zeros(3)) == float("inf")


def test_a_unit_that_noise_or_a_clip_activates_is_not_dead_whatever_its_pattern_does(subject):
    on, off = torch.tensor([0.0, 0.1]), torch.zeros(2)

    def pattern(noise, clips):
        return Pattern(subject.layers[0], 0, (), 0.0, noise, clips, [], True)

    assert pattern(off, off).dead
    assert pattern(off, None).dead
    assert not pattern(on, off).dead
    assert not pattern(off, on).dead
