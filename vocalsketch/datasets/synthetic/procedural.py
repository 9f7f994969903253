"""Sounds without end, drawn at random: what imitations are synthesised from for training.

Each family is a way in which things sound (struck, blown, poured, torn ...). A sound is drawn from
one family, or from two, layered or one after the other, and set in a room.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage, signal

from vocalsketch.datasets.synthetic.synthesis import (
    BAR,
    BELL,
    DRUM,
    HARMONICS,
    METAL,
    SAMPLE_RATE,
    Curve,
    frequency_modulated,
    gate,
    glide,
    hiss,
    line,
    lowpassed,
    mixed,
    plucked,
    steps,
    strikes,
    struck,
    swell,
    tone,
    wave,
)

Rng = np.random.Generator
LONGEST = 4.0  # seconds
SHORT = 0.25  # of the sounds: hits, clicks, drops, of which recordings hold many


def procedural_sound(rng: Rng) -> Curve:
    """Return a random sound at 44.1 kHz, 0.06 to 4 s, its peak at 0.7."""
    names = list(FAMILIES)
    chances = np.array([FAMILIES[name][1] for name in names])
    name = str(rng.choice(names, p=chances / chances.sum()))
    return family_sound(name, rng)


def family_sound(name: str, rng: Rng) -> Curve:
    """Return a random sound of one of ``FAMILIES``, like ``procedural_sound``."""
    sound = FAMILIES[name][0](rng)
    loudest = np.abs(sound).max()
    if loudest < 1e-9:  # every strike fell outside of the clip
        return family_sound(name, rng)
    if rng.random() < SHORT:
        sound = _cut_short(sound, rng)
    return _recorded(sound / np.abs(sound).max(), rng)


def _cut_short(sound: Curve, rng: Rng) -> Curve:
    """Return the beginning of a sound's loudest part, which falls away within half a second."""
    envelope = ndimage.maximum_filter1d(np.abs(sound), 2_000)
    start = int(np.argmax(envelope > 0.3 * envelope.max()))
    seconds = _between(rng, 0.05, 0.5)
    part = sound[start : start + round(seconds * SAMPLE_RATE)]
    return np.pad(part * strikes(len(part) / SAMPLE_RATE, [0.0], 0.35 * seconds, 0.001), (0, 441))


def _between(rng: Rng, low: float, high: float) -> float:
    """Return a number between two, even to the ear (log-uniform)."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _lasting(
    make: Callable[[float, Rng], Curve], shortest: float, longest: float = LONGEST
) -> Callable[[Rng], Curve]:
    """Return what draws a sound's length in seconds, and then the sound."""
    return lambda rng: make(_between(rng, shortest, longest), rng)


def _pitch(seconds: float, rng: Rng, low: float = 70.0, high: float = 2_500.0) -> Curve:
    """Return a pitch that stays, glides, bends, steps, or trembles."""
    base = _between(rng, low, high)
    kind = rng.integers(7)
    if kind < 2:
        course = line(seconds, base)
    elif kind < 4:
        course = glide(seconds, *(base * 2.0 ** rng.normal(0.0, 0.6, rng.integers(2, 5))))
    elif kind == 4:
        course = steps(seconds, *(base * 2.0 ** (rng.integers(-9, 10, rng.integers(2, 9)) / 12)))
    elif kind == 5:
        depth = 2.0 ** rng.uniform(0.02, 0.5)
        course = wave(seconds, _between(rng, 0.5, 12.0), base / depth, base * depth)
    else:
        course = glide(seconds, base, base * 2.0 ** rng.uniform(-2.0, 2.0))
    if rng.random() < 0.3:
        course = course * wave(seconds, rng.uniform(4.0, 8.0), 0.98, 1.02)
    return np.clip(course, 30.0, 6_000.0)


def _times(seconds: float, rng: Rng) -> list[float]:
    """Return when things happen: once, evenly, faster and faster, in a rhythm, or by chance."""
    kind = rng.integers(6)
    if kind == 0:
        return [0.01]
    if kind <= 2:
        period = _between(rng, 0.06, 0.7)
        times = np.arange(0.01, seconds - 0.03, period)
    elif kind == 3:
        first, last = rng.permutation([_between(rng, 0.03, 0.1), 0.4]).tolist()
        periods = np.geomspace(first, last, 40)
        times = np.cumsum(periods) - periods[0] + 0.01
    elif kind == 4:
        beat = rng.uniform(0.1, 0.25)
        places = np.flatnonzero(rng.random(16) < 0.5)
        times = 0.01 + beat * (places - (places[0] if len(places) else 0))
    else:
        times = np.sort(rng.uniform(0.0, seconds - 0.03, rng.integers(2, 14)))
    within = [float(time) for time in times if time < seconds - 0.03]
    return within or [0.01]


def _loudness(seconds: float, rng: Rng) -> Curve:
    """Return a loudness: a swell, a fall, strikes, gates, waves or a random walk."""
    kind = rng.integers(8)
    if kind == 0:
        return swell(seconds, _between(rng, 0.005, seconds), _between(rng, 0.02, seconds))
    if kind == 1:
        return line(seconds, *rng.permutation([0.0, 1.0, rng.random()]))
    if kind == 2:
        return strikes(seconds, [0.0], _between(rng, 0.03, seconds), _between(rng, 0.002, 0.05))
    if kind == 3:
        fall = _between(rng, 0.02, 0.4)
        return strikes(seconds, _times(seconds, rng), fall, _between(rng, 0.002, 0.06))
    if kind == 4:
        return gate(seconds, _between(rng, 1.0, 14.0), rng.uniform(0.3, 0.8))
    if kind == 5:
        return wave(seconds, _between(rng, 0.4, 14.0), rng.uniform(0.0, 0.6), 1.0)
    if kind == 6:
        return line(seconds, *(rng.random(rng.integers(3, 12)) ** 1.5))
    return swell(seconds, rng.uniform(0.005, 0.1), rng.uniform(0.02, 0.3))


def _balanced(*parts: tuple[float, Curve]) -> Curve:
    """Return sounds added up, each at a share of an equal level."""
    return np.asarray(sum(share * sound / max(sound.std(), 1e-6) for share, sound in parts))


def _layered(share: float, noise: Curve, ring: Curve) -> Curve:
    """Return noise and a share of a ring, their peaks at an equal level."""
    ringing = share * ring / max(np.abs(ring).max(), 1e-9)
    return np.asarray((1.0 - share) * noise / np.abs(noise).max() + ringing)


def _tonal(seconds: float, rng: Rng) -> Curve:
    pitch, loudness = _pitch(seconds, rng), _loudness(seconds, rng)
    slope, partials = rng.uniform(0.2, 2.5), int(rng.integers(1, 30))
    sound = tone(pitch, loudness, slope, partials, bool(rng.random() < 0.3))
    for _ in range(rng.integers(0, 3)):
        sound = sound + tone(pitch * rng.choice([1.006, 1.26, 1.5, 2.0]), loudness, slope, partials)
    if rng.random() < 0.5:
        cutoffs = glide(seconds, *np.exp(rng.uniform(5.3, 8.8, rng.integers(1, 5))))
        sound = lowpassed(sound, cutoffs, rng.uniform(0.0, 4.0))
    return sound


def _modulated(seconds: float, rng: Rng) -> Curve:
    index = line(seconds, *rng.uniform(0.0, 7.0, rng.integers(1, 4)))
    ratio = rng.choice([0.5, 1.0, 1.41, 2.0, 3.0, 3.5, 7.0, rng.uniform(0.01, 5.0)])
    pitch = _pitch(seconds, rng, 60.0, 1_500.0)
    return frequency_modulated(pitch, _loudness(seconds, rng), ratio, index)


def _strings(seconds: float, rng: Rng) -> Curve:
    times = _times(seconds, rng)[:12]
    base, sustain = _between(rng, 70.0, 700.0), rng.uniform(0.96, 0.998)
    placed = [
        (time, plucked(base * 2.0 ** (rng.integers(-5, 8) / 12), seconds - time, sustain, rng=rng))
        for time in times
    ]
    return mixed(seconds, *placed)


def _bodies(seconds: float, rng: Rng) -> Curve:
    """Struck wood, metal, glass, coins, bells: rings of one or several hits."""
    modes: tuple[float, ...] = (BAR, BELL, DRUM, METAL, HARMONICS)[rng.integers(5)]
    if rng.random() < 0.4:
        modes = tuple(np.sort(np.exp(rng.uniform(0.0, 2.5, rng.integers(2, 10)))))
    base, fall = _between(rng, 60.0, 5_000.0), _between(rng, 0.01, 1.2)
    knock = rng.uniform(0.0, 0.8)
    sound = np.zeros(round(seconds * SAMPLE_RATE))
    for time in _times(seconds, rng)[:20]:
        left = seconds - time
        hit = struck(base * 2.0 ** rng.normal(0.0, 0.1), left, modes, fall)
        hit = hit + knock * hiss(strikes(left, [0.0], 0.008, 0.001), 2.0 * base, 3.0, rng)
        sound = sound + rng.uniform(0.3, 1.0) * mixed(seconds, (time, hit))
    return sound


def _noise(seconds: float, rng: Rng) -> Curve:
    """Wind, steam, waves, whooshes, sprays."""
    centre = glide(seconds, *np.exp(rng.uniform(5.0, 9.1, rng.integers(1, 5))))
    return hiss(_loudness(seconds, rng), centre, rng.uniform(0.3, 4.0), rng)


def _bubble(rng: Rng, low: float, high: float) -> Curve:
    """Return the ring of one air bubble: it rises as the bubble nears the surface."""
    base, fall = _between(rng, low, high), _between(rng, 0.008, 0.08)
    seconds = min(6.0 * fall, 0.35)
    rise = 2.0 ** rng.uniform(0.0, 1.6)
    return tone(glide(seconds, base, base * rise), strikes(seconds, [0.0], fall, 0.003), 2.5, 2)


def _bubbles(seconds: float, number: int, low: float, high: float, rng: Rng) -> Curve:
    sound = np.zeros(round(seconds * SAMPLE_RATE))
    for time in rng.uniform(0.0, seconds, number):
        start, bubble = round(time * SAMPLE_RATE), rng.random() * _bubble(rng, low, high)
        part = bubble[: len(sound) - start]
        sound[start : start + len(part)] += part
    return sound


def _poured(seconds: float, rng: Rng) -> Curve:
    """A stream, a gurgle, boiling: many bubbles, some hiss."""
    low = _between(rng, 150.0, 900.0)
    number = int(seconds * _between(rng, 8.0, 120.0))
    sound = _bubbles(seconds, number, low, low * _between(rng, 1.5, 6.0), rng)
    shape = _loudness(seconds, rng) if rng.random() < 0.5 else line(seconds, 1.0)
    spray = hiss(line(seconds, *rng.uniform(0.3, 1.0, 4)), _between(rng, 800.0, 6_000.0), 3.0, rng)
    return shape * _balanced((1.0, sound), (rng.uniform(0.0, 0.6), spray))


def _splash(seconds: float, rng: Rng) -> Curve:
    """Something falls into water: a slap, spray that falls away, bubbles after it."""
    start = rng.uniform(0.0, 0.1)
    fall = _between(rng, 0.03, 0.5)
    centre = glide(seconds, *np.exp(rng.uniform(6.0, 8.9, 3)))
    spray = hiss(strikes(seconds, [start], fall, _between(rng, 0.002, 0.1)), centre, 2.5, rng)
    low = _between(rng, 150.0, 1_000.0)
    plop = mixed(seconds, (start + rng.uniform(0.0, 0.25), _bubble(rng, low, low * 2.0)))
    after = _bubbles(seconds, int(rng.integers(0, 25)), low, low * 4.0, rng)
    after = after * strikes(seconds, [start + 0.02], 2.0 * fall, 0.1)
    return _balanced((rng.random(), spray), (rng.random(), plop), (rng.random(), after))


def _drips(seconds: float, rng: Rng) -> Curve:
    low = _between(rng, 300.0, 1_500.0)
    return mixed(seconds, *((time, _bubble(rng, low, 1.5 * low)) for time in _times(seconds, rng)))


def _throat(seconds: float, rng: Rng) -> Curve:
    """Animals and the like: pulses through moving resonances, calls once or repeated."""
    shape = _between(rng, 60.0, 900.0) * 2.0 ** rng.uniform(-0.7, 0.7, rng.integers(2, 5))
    pitch = glide(seconds, *shape)
    rough = wave(seconds, _between(rng, 18.0, 60.0), rng.choice([1.0, 1.0, 0.2]), 1.0)
    loud = swell(seconds, rng.uniform(0.01, 0.15), rng.uniform(0.03, 0.3)) * rough
    call = tone(pitch, loud, rng.uniform(0.2, 1.0), 30)
    call = lowpassed(call, glide(seconds, *np.exp(rng.uniform(5.8, 8.3, 3))), rng.uniform(0.5, 4.0))
    breath = hiss(loud, _between(rng, 600.0, 4_000.0), 2.0, rng)
    call = call + rng.choice([0.0, 0.1, 0.5]) * breath / max(breath.std(), 1e-6) * call.std()
    whole = min(seconds * _between(rng, 1.0, 8.0), LONGEST)
    turns = np.arange(0.0, whole - 0.5 * seconds, seconds * rng.uniform(1.05, 1.8))
    return mixed(whole, *((float(turn), call) for turn in turns))


def _chirps(seconds: float, rng: Rng) -> Curve:
    base = _between(rng, 900.0, 5_000.0)
    pitch = np.clip(glide(seconds, *(base * 2.0 ** rng.normal(0.0, 0.4, 3))), 300.0, 8_000.0)
    note = tone(pitch, swell(seconds, 0.01, 0.3 * seconds), 2.0, 3)
    whole = _between(rng, 0.4, LONGEST)
    return mixed(whole, *((time, note) for time in _times(whole, rng)))


def _engine(seconds: float, rng: Rng) -> Curve:
    """Motors, propellers, saws, drills, purrs: pulses at a rate that moves, and their noise."""
    rates = _between(rng, 9.0, 220.0) * 2.0 ** rng.normal(0.0, 0.5, rng.integers(1, 6))
    rate = glide(seconds, *np.clip(rates, 6.0, 500.0))
    motor = tone(rate, line(seconds, 1.0), rng.uniform(0.0, 0.6), 60)
    motor = lowpassed(motor, _between(rng, 200.0, 5_000.0))
    puffs = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.cumsum(rate) / SAMPLE_RATE)
    noise = hiss(puffs ** rng.uniform(1.0, 8.0), _between(rng, 200.0, 5_000.0), 2.5, rng)
    share = rng.random()
    return _loudness(seconds, rng) * _balanced((share, motor), (1.0 - share, noise))


def _impact(seconds: float, rng: Rng) -> Curve:
    """Thuds, doors, shots, claps, crashes: noise that falls away over a body's ring."""
    times = _times(seconds, rng)[:8]
    fall, low = _between(rng, 0.008, 0.5), _between(rng, 50.0, 600.0)
    falling = strikes(seconds, times, fall, 0.001)
    noise = hiss(falling, _between(rng, 150.0, 6_000.0), rng.uniform(1, 4), rng)
    rings = ((time, struck(low, seconds - time, DRUM, 2.0 * fall)) for time in times)
    body = mixed(seconds, *rings)
    share = rng.random()
    return _balanced((share, noise), (1.0 - share, body))


def _scrape(seconds: float, rng: Rng) -> Curve:
    """Zips, tears, creaks, ratchets, saws: slips at a rate, each a short noise."""
    rates = _between(rng, 12.0, 300.0) * 2.0 ** rng.normal(0.0, 0.7, rng.integers(2, 6))
    place = np.cumsum(glide(seconds, *np.clip(rates, 8.0, 600.0))) / SAMPLE_RATE
    slips = np.exp(-(place % 1.0) * rng.uniform(1.0, 12.0))
    centre = glide(seconds, *np.exp(rng.uniform(6.2, 8.9, rng.integers(1, 4))))
    return hiss(slips * _loudness(seconds, rng), centre, rng.uniform(0.4, 3.0), rng)


def _crackle(seconds: float, rng: Rng) -> Curve:
    """Fire, paper, gravel, rain, keys: clicks without order, their density in motion."""
    density = _between(rng, 8.0, 400.0) * _loudness(seconds, rng)
    clicks = (rng.random(len(density)) < density / SAMPLE_RATE) * rng.exponential(1.0, len(density))
    fall = _between(rng, 0.0008, 0.01)
    ringing = np.exp(-np.arange(round(6 * fall * SAMPLE_RATE)) / (fall * SAMPLE_RATE))
    envelope = signal.fftconvolve(clicks, ringing)[: len(clicks)]
    return hiss(np.maximum(envelope, 0.0), _between(rng, 500.0, 8_000.0), rng.uniform(1, 4), rng)


def _kick(seconds: float, rng: Rng) -> Curve:
    low = _between(rng, 38.0, 90.0)
    fall = seconds / rng.uniform(2.0, 6.0)
    drop = np.exp(-line(seconds, 0.0, seconds) / _between(rng, 0.008, 0.06))
    sound = tone(low * (1.0 + rng.uniform(0.5, 6.0) * drop), strikes(seconds, [0.0], fall), 2.5, 3)
    click = hiss(strikes(seconds, [0.0], 0.004, 0.0005), _between(rng, 1_000, 5_000), 3.0, rng)
    sound = sound + rng.uniform(0.0, 0.5) * click / np.abs(click).max()
    return np.asarray(np.tanh(rng.uniform(0.5, 4.0) * sound))


def _snare(seconds: float, rng: Rng) -> Curve:
    fall = seconds / rng.uniform(2.0, 6.0)
    falling = strikes(seconds, [0.0], fall, 0.001)
    wires = hiss(falling, _between(rng, 1_200.0, 6_000.0), rng.uniform(2, 4), rng)
    body = struck(_between(rng, 140.0, 330.0), seconds, DRUM, 0.6 * fall)
    clap = rng.random() < 0.2
    if clap:
        early = strikes(seconds, [0.0, 0.011, 0.023], 0.006, 0.0005)
        wires = wires + hiss(early, 1_500.0, 1.5, rng)
    share = rng.uniform(0.0, 0.2 if clap else 0.6)
    return _layered(share, wires, body)


def _hat(seconds: float, rng: Rng) -> Curve:
    fall = seconds / rng.uniform(2.5, 7.0)
    loud = strikes(seconds, [0.0], fall, _between(rng, 0.0005, 0.02))
    sizzle = hiss(loud, _between(rng, 5_000.0, 11_000.0), rng.uniform(0.8, 2.5), rng)
    ring = tone(line(seconds, _between(rng, 300.0, 600.0)), loud, 0.0, 30, odd=True)
    low = _between(rng, 4_000.0, 8_000.0)
    highpass = signal.butter(4, low, "high", fs=SAMPLE_RATE, output="sos")
    return _layered(rng.uniform(0.0, 0.5), sizzle, signal.sosfilt(highpass, ring))


def _tom(seconds: float, rng: Rng) -> Curve:
    low = _between(rng, 70.0, 400.0)
    fall = seconds / rng.uniform(2.0, 5.0)
    bend = glide(seconds, low * rng.uniform(1.0, 1.8), low, low)
    return tone(bend, strikes(seconds, [0.0], fall), 2.0, 4)


def _drum(rng: Rng) -> Curve:
    kinds = (
        _lasting(_kick, 0.12, 0.9),
        _lasting(_snare, 0.12, 0.7),
        _lasting(_hat, 0.1, 1.2),
        _lasting(_tom, 0.15, 1.2),
    )
    return kinds[rng.choice(4, p=[0.32, 0.32, 0.26, 0.1])](rng)


def _beat(seconds: float, rng: Rng) -> Curve:
    """A pattern of two or three drums."""
    placed = [(time, drum) for drum in (_drum(rng), _drum(rng)) for time in _times(seconds, rng)]
    return mixed(seconds, *placed)


def _alarm(seconds: float, rng: Rng) -> Curve:
    """Beeps, rings, horns, sirens: few pitches, switched or swept in turn."""
    base, rate = _between(rng, 200.0, 3_500.0), _between(rng, 0.8, 25.0)
    other = base * 2.0 ** rng.uniform(0.0, 0.9)
    swept = wave(seconds, rate / 4.0, base, other)
    switched = np.where(gate(seconds, rate, 0.5) > 0.5, base, other)
    pitch = (line(seconds, base), swept, switched)[rng.integers(3)]
    loud = gate(seconds, _between(rng, 0.8, 25.0), 0.5) if rng.random() < 0.6 else 1.0
    edges = swell(seconds, 0.01, _between(rng, 0.01, 0.5))
    return tone(pitch, loud * edges, rng.uniform(0.3, 2.5), int(rng.integers(2, 24)))


def _pair(rng: Rng) -> Curve:
    """Two sounds, one after the other or together."""
    simple = [name for name in FAMILIES if name != "pair"]
    first, second = (FAMILIES[str(rng.choice(simple))][0](rng) for _ in range(2))
    first, second = (each / max(np.abs(each).max(), 1e-9) for each in (first, second))
    level = rng.uniform(0.2, 1.0)
    if rng.random() < 0.6:
        joined = np.concatenate([first[: round(2.5 * SAMPLE_RATE)], level * second])
        return joined[: round(LONGEST * SAMPLE_RATE)]
    longest = max(len(first), len(second))
    first, second = (np.pad(each, (0, longest - len(each))) for each in (first, second))
    return first + level * second


def _recorded(sound: Curve, rng: Rng) -> Curve:
    """Return a sound in its room, over its recording's noise, its peak at 0.7."""
    if rng.random() < 0.5:
        tail = rng.standard_normal(round(0.5 * SAMPLE_RATE))
        tail *= np.exp(-np.arange(len(tail)) / (_between(rng, 0.01, 0.15) * SAMPLE_RATE))
        tail *= rng.uniform(0.005, 0.08)
        tail[0] = 1.0
        sound = signal.fftconvolve(sound, tail)[: round(LONGEST * SAMPLE_RATE)]
    noise = ndimage.gaussian_filter1d(rng.standard_normal(len(sound)), rng.uniform(0.3, 4.0))
    noisy = sound / np.abs(sound).max() + 10.0 ** (rng.uniform(-75.0, -45.0) / 20.0) * noise
    return np.asarray(0.7 * noisy / np.abs(noisy).max())


# Of each family: what draws a sound, and how often it is drawn beside the others
FAMILIES: dict[str, tuple[Callable[[Rng], Curve], float]] = {
    "tonal": (_lasting(_tonal, 0.3), 2.5),
    "modulated": (_lasting(_modulated, 0.3), 1.5),
    "strings": (_lasting(_strings, 0.4), 0.8),
    "bodies": (_lasting(_bodies, 0.2), 2.0),
    "noise": (_lasting(_noise, 0.3), 1.5),
    "poured": (_lasting(_poured, 0.6), 1.0),
    "splash": (_lasting(_splash, 0.3, 2.5), 1.5),
    "drips": (_lasting(_drips, 0.3), 0.7),
    "throat": (_lasting(_throat, 0.15, 1.2), 2.0),
    "chirps": (_lasting(_chirps, 0.04, 0.4), 0.7),
    "engine": (_lasting(_engine, 0.6), 1.2),
    "impact": (_lasting(_impact, 0.15, 2.5), 1.5),
    "scrape": (_lasting(_scrape, 0.2, 3.0), 1.5),
    "crackle": (_lasting(_crackle, 0.3), 1.0),
    "drum": (_drum, 3.0),
    "beat": (_lasting(_beat, 0.8), 0.6),
    "alarm": (_lasting(_alarm, 0.4), 1.2),
    "pair": (_pair, 2.5),
}
