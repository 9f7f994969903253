"""Make the sounds that imitations are synthesised from for training: procedural ones, FluidR3's.

    apt-get install fluidsynth fluid-soundfont-gm        # the soundfont is MIT licensed
    python benchmarks/training_pool.py POOL --procedural 3000 --instruments 1500

POOL/procedural and POOL/fluidr3 hold WAV files of at most 4 s at 44.1 kHz; sound n depends on the
seed and n alone. A folder that is there already is left as it is.
"""

import argparse
import struct
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import soundfile
from scipy.io import wavfile

from vocalsketch.datasets.synthetic.procedural import procedural_sound

SAMPLE_RATE = 44_100  # hz
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SLOT = 6.0  # seconds between the beginnings of two phrases: the last one's tail has died away
LONGEST = 4.0  # seconds
TICKS = 480  # a second, at the default tempo of 120 quarters a minute and 240 ticks a quarter
DRUM_CHANNEL = 9
KITS = 0, 8, 16, 24, 25, 32, 40, 48  # programs of FluidR3's drum kits
DRUM_KEYS = range(27, 88)

Event = tuple[float, bytes]


def phrase(number: int, rng: np.random.Generator) -> list[Event]:
    """Return the MIDI events of one phrase: of a drum kit (a quarter of them) or an instrument."""
    if number % 4 == 0:
        return _drums(rng)
    program = int(rng.choice(np.r_[0:128, 112:128]))  # sound effects and percussion twice
    base = int(rng.integers(36, 85))
    kind = rng.integers(4)
    if kind < 2:  # one note, or a chord
        notes = [base] if kind == 0 or rng.random() < 0.6 else [base, base + 4, base + 7]
        seconds = float(np.exp(rng.uniform(np.log(0.08), np.log(3.0))))
        return _notes(0, program, [(0.0, seconds, note) for note in notes], rng)
    beat = float(np.exp(rng.uniform(np.log(0.08), np.log(0.6))))
    count = int(rng.integers(2, max(3, min(12, int(3.2 / beat)))))
    walk = (
        np.cumsum(rng.integers(-4, 5, count))
        if kind == 2
        else rng.integers(-3, 4) * np.arange(count)
    )
    pitches = np.clip(base + walk, 24, 103)
    lasting = beat * rng.uniform(0.3, 1.1)
    return _notes(
        0, program, [(beat * place, lasting, int(note)) for place, note in enumerate(pitches)], rng
    )


def _drums(rng: np.random.Generator) -> list[Event]:
    kit = int(rng.choice(KITS))
    if rng.random() < 0.7:
        return _notes(DRUM_CHANNEL, kit, [(0.0, 0.3, int(rng.choice(DRUM_KEYS)))], rng)
    beat, keys = rng.uniform(0.08, 0.3), rng.choice(DRUM_KEYS, 3)
    hits = [
        (beat * place, 0.1, int(rng.choice(keys))) for place in np.flatnonzero(rng.random(10) < 0.6)
    ]
    return _notes(DRUM_CHANNEL, kit, hits or [(0.0, 0.1, int(keys[0]))], rng)


def _notes(
    channel: int, program: int, notes: list[tuple[float, float, int]], rng: np.random.Generator
) -> list[Event]:
    loud = int(rng.integers(70, 127))
    events = [(0.0, bytes([0xC0 | channel, program]))]
    for start, seconds, note in notes:
        events.append((start + 0.01, bytes([0x90 | channel, note, loud])))
        events.append((start + 0.01 + seconds, bytes([0x80 | channel, note, 0])))
    return events


def midi_file(phrases: list[list[Event]]) -> bytes:
    """Return a MIDI file of one track with a phrase every ``SLOT`` seconds."""
    track, now = bytearray(), 0
    silence = [(SLOT - 0.2, bytes([0xB0 | channel, 120, 0])) for channel in (0, DRUM_CHANNEL)]
    for place, events in enumerate(phrases):
        for seconds, message in sorted(events + silence, key=lambda event: event[0]):
            moment = round((place * SLOT + seconds) * TICKS)
            track += _variable(moment - now) + message
            now = moment
    track += _variable(0) + b"\xff\x2f\x00"
    header = struct.pack(">4sLHHH", b"MThd", 6, 0, 1, TICKS // 2)
    return header + struct.pack(">4sL", b"MTrk", len(track)) + bytes(track)


def _variable(number: int) -> bytes:
    """Return a number as MIDI writes it: seven bits a byte, highest first."""
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))


def render(folder: Path, first: int, count: int, seed: int, soundfont: Path) -> None:
    """Write phrases ``first`` to ``first + count`` of the soundfont into ``folder``."""
    drawn = range(first, first + count)
    phrases = [phrase(number, np.random.default_rng([seed, 1, number])) for number in drawn]
    with tempfile.TemporaryDirectory() as scratch:
        midi, audio = Path(scratch, "phrases.mid"), Path(scratch, "phrases.wav")
        midi.write_bytes(midi_file(phrases))
        command = [
            "fluidsynth",
            "-ni",
            "-q",
            "-R",
            "0",
            "-C",
            "0",
            "-g",
            "0.7",
            "-r",
            str(SAMPLE_RATE),
        ]
        subprocess.run([*command, "-F", str(audio), str(soundfont), str(midi)], check=True)
        stereo, _ = soundfile.read(audio, dtype="float32")
    mono = stereo.mean(axis=1)
    for place, number in enumerate(drawn):
        start = round(place * SLOT * SAMPLE_RATE)
        clip = mono[start : start + round(LONGEST * SAMPLE_RATE)]
        loudest = np.abs(clip).max(initial=0.0)
        if loudest > 1e-3:  # a kit has no drum on some keys
            audible = np.flatnonzero(np.abs(clip) > 1e-3 * loudest)
            _write(folder / f"{number:05d}.wav", 0.7 / loudest * clip[: audible[-1] + 1])


def draw(folder: Path, number: int, seed: int) -> None:
    """Write the procedural sound ``number`` into ``folder``."""
    sound = procedural_sound(np.random.default_rng([seed, 0, number]))
    _write(folder / f"{number:05d}.wav", sound)


def _write(path: Path, waveform: np.ndarray) -> None:
    wavfile.write(path, SAMPLE_RATE, np.round(32_767.0 * waveform).astype(np.int16))


def main() -> None:
    """Make the pool."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--procedural", type=int, default=3_000)
    parser.add_argument("--instruments", type=int, default=1_500)
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    procedural, instruments = given.pool / "procedural", given.pool / "fluidr3"
    with ProcessPoolExecutor(given.processes) as pool:
        if not procedural.exists():
            procedural.mkdir(parents=True)
            numbers = range(given.procedural)
            list(pool.map(draw, repeat(procedural), numbers, repeat(given.seed), chunksize=50))
        if not instruments.exists():
            instruments.mkdir(parents=True)
            starts = range(0, given.instruments, 100)
            counts = [min(100, given.instruments - start) for start in starts]
            same = repeat(instruments), repeat(given.seed), repeat(given.soundfont)
            list(pool.map(render, same[0], starts, counts, same[1], same[2]))
    print(
        f"{len(list(procedural.iterdir()))} procedural, {len(list(instruments.iterdir()))} FluidR3"
    )


if __name__ == "__main__":
    main()
