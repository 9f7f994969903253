"""Ascent: known optima, the bound, convergence, regularisation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.errors import ConfigError
from vocalsketch.interpret.ascent import Ascent, AscentSettings, noise_inputs, within_reach

SHAPE = (5, 7)


def climb(activation, starts, settings=None, scales=None, seed=0):
    units = len(starts[0])
    return Ascent(
        activation,
        starts,
        torch.ones(units) if scales is None else scales,
        settings or AscentSettings(),
        torch.Generator().manual_seed(seed),
    ).climb()


def linear(filters):
    """Return the activation of units that are inner products with filters (units, bins, frames)."""
    return lambda inputs, rows: (inputs[0] * filters[rows]).mean(dim=(1, 2))


def standardised(filters):
    centred = filters - filters.mean(dim=(1, 2), keepdim=True)
    return centred / centred.square().mean(dim=(1, 2), keepdim=True).sqrt()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_linear_filters_optimum_is_the_filter_itself(scale):
    filters = scale * torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1))
    found = climb(linear(filters), noise_inputs([SHAPE], [0, 1, 2]), scales=torch.full((3,), scale))
    assert found.converged.all()
    torch.testing.assert_close(found.patterns[0], standardised(filters), atol=1e-3, rtol=0)
    deviation = (filters - filters.mean(dim=(1, 2), keepdim=True)).square().mean(dim=(1, 2)).sqrt()
    torch.testing.assert_close(found.activations, deviation, rtol=1e-4, atol=0)


def test_of_a_pair_both_inputs_reach_their_optimum():
    left, right = torch.randn(2, 1, *SHAPE, generator=torch.Generator().manual_seed(2))

    def activation(inputs, rows):
        return (inputs[0] * left + 1e-3 * inputs[1] * right).mean(dim=(1, 2))

    found = climb(activation, noise_inputs([SHAPE, SHAPE], [0]))
    torch.testing.assert_close(found.patterns[0], standardised(left), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.patterns[1], standardised(right), atol=1e-3, rtol=0)


def test_l2_leads_to_the_optimum_within_the_bound():
    # maximise mean(w x) - 0.5 * l2 * mean(x^2) ... with l2 = 2 and scale 0.5: x = w / 2
    filters = standardised(torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(3)))
    settings = AscentSettings(l2=2.0, halvings=10)
    found = climb(linear(filters), noise_inputs([SHAPE], [0]), settings, torch.tensor([0.5]))
    torch.testing.assert_close(found.patterns[0], filters / 2, atol=2e-2, rtol=0)


def test_total_variation_smooths():
    filters = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(4))

    def variation(weight):
        found = climb(
            linear(filters), noise_inputs([SHAPE], [0]), AscentSettings(total_variation=weight)
        )
        pattern = found.patterns[0][0]
        return float(pattern.diff(dim=0).abs().mean() + pattern.diff(dim=1).abs().mean())

    assert variation(0.3) < 0.8 * variation(0.0)


def test_jitter_blurs_what_depends_on_one_place_and_repeats_with_its_seed():
    filters = torch.zeros(1, *SHAPE)
    filters[0, 2, 3] = 1.0
    settings = AscentSettings(jitter=1, step_size=0.1)
    starts = noise_inputs([SHAPE], [0])
    found = climb(linear(filters), starts, settings)
    sharp = climb(linear(filters), starts).patterns[0][0]
    blurred = found.patterns[0][0]
    assert sharp.flatten().sort().values[-2] < 0.1 * sharp.max()
    assert blurred.flatten().sort().values[-2] > 0.2 * blurred.max()
    assert torch.equal(climb(linear(filters), starts, settings).patterns[0][0], blurred)


def test_what_is_returned_is_the_best_that_was_met():
    target = standardised(torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(5)))

    def activation(inputs, rows):
        return -(inputs[0] - target).abs().mean(dim=(1, 2))  # steps of one length overshoot it

    found = climb(activation, noise_inputs([SHAPE], [0]))
    assert float(found.activations) == max(found.curves[0])
    torch.testing.assert_close(activation(found.patterns, [0]), found.activations)


def test_the_limit_of_steps_ends_what_has_not_converged():
    filters = torch.randn(2, *SHAPE)
    found = climb(linear(filters), noise_inputs([SHAPE], [0, 1]), AscentSettings(steps=10))
    assert not found.converged.any()
    assert [len(curve) for curve in found.curves] == [10, 10]


def test_a_unit_without_gradient_converges_and_stays_where_it_was():
    starts = noise_inputs([SHAPE], [0])
    found = climb(lambda inputs, rows: 0.0 * inputs[0].sum(dim=(1, 2)), starts)
    assert found.converged.all()
    torch.testing.assert_close(found.patterns[0], starts[0])


def test_units_that_converge_first_leave_the_others_as_they_would_be_alone():
    filters = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(6))

    def activation(inputs, rows):
        plain = (inputs[0] * filters[rows]).mean(dim=(1, 2))
        return torch.where(rows == 0, plain, plain - inputs[0].pow(4).mean(dim=(1, 2)) / 50)

    both = climb(activation, noise_inputs([SHAPE], [0, 1]))
    assert len(both.curves[0]) != len(both.curves[1])
    alone = climb(lambda inputs, rows: activation(inputs, rows + 1), noise_inputs([SHAPE], [1]))
    torch.testing.assert_close(both.patterns[0][1], alone.patterns[0][0])
    assert both.curves[1] == pytest.approx(alone.curves[0])


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=6).map(
        lambda v: torch.tensor(v).view(1, 2, 3)
    )
)
def test_within_reach_is_centred_bounded_and_leaves_alone_what_is_there(values):
    reached = within_reach(values)
    assert float(reached.mean().abs()) < 1e-5
    assert float(reached.square().mean()) < 1 + 1e-4
    torch.testing.assert_close(within_reach(reached), reached, atol=1e-5, rtol=1e-4)


def test_noise_is_standardised_and_a_row_depends_on_its_seed_alone():
    (several,) = noise_inputs([SHAPE], [3, 4])
    torch.testing.assert_close(several.mean(dim=(1, 2)), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(several.square().mean(dim=(1, 2)), torch.ones(2))
    assert torch.equal(noise_inputs([SHAPE], [4])[0][0], several[1])
    assert not torch.equal(several[0], several[1])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"steps": 0}, "steps is 0: it must be above 0"),
        ({"step_size": -1.0}, "step_size is -1.0"),
        ({"l2": -1.0}, "l2 is -1.0: it must be at least 0"),
        ({"total_variation": float("nan")}, "total_variation is nan"),
        ({"jitter": -1}, "jitter is -1"),
    ],
)
def test_settings_out_of_range_are_refused(setting, said):
    with pytest.raises(ConfigError) as refused:
        AscentSettings(**setting)
    assert said in str(refused.value)
