"""How fast features are made: the front ends against librosa, and the store.

Prints clips per second and the ratio of the two, both measured in this run on the same clips:

    python benchmarks/features.py
    python benchmarks/features.py --root path/to/folder/with/wav/files --jobs 4

Each front end and its librosa counterpart turn waveforms in memory into standardised
spectrograms on one core. The store reads, resamples and transforms files; its gain by several
workers stands beside what bare processes gain on this machine. Rounds alternate between what is
compared, and the best of each counts, so that other work on the machine weighs less.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch

from vocalsketch.features.audio import load_clip
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.mel import ImitationLogMel, LogMel, RecordingLogMel
from vocalsketch.features.store import BATCH, FeatureStore, transformed

FRONT_ENDS: tuple[CQT | LogMel, ...] = (CQT(), ImitationLogMel(), RecordingLogMel())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, help="folder of wav files; default: made-up clips")
    parser.add_argument("--clips", type=int, default=400, help="clips at most, default 400")
    parser.add_argument("--jobs", type=int, default=2, help="workers against one, default 2")
    parser.add_argument("--rounds", type=int, default=5, help="best of so many, default 5")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.root:
            files = sorted(arguments.root.rglob("*.wav"))[: arguments.clips]
        else:
            files = made_up_clips(Path(folder), arguments.clips)
        for front_end in FRONT_ENDS:
            against_librosa(front_end, files[:64], arguments.rounds)
        alone = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.jobs, alone, torch.set_num_threads, (1,)) as bare:
            for front_end in FRONT_ENDS:
                filling(front_end, files, arguments.jobs, arguments.rounds, bare)


def made_up_clips(folder: Path, count: int) -> list[Path]:
    """Write harmonic sounds and noise of 1 to 5 s, a tenth of them at 44.1 kHz."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        rate = 44_100 if number % 10 == 0 else 16_000
        time_axis = np.arange(int(rate * rng.uniform(1, 5))) / rate
        pitch = rng.uniform(80, 500) * (1 + 0.05 * np.sin(2 * np.pi * 5 * time_axis))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        tone = sum(np.sin(phase * partial) / partial for partial in range(1, 9))
        samples = 0.2 * tone + 0.02 * rng.standard_normal(len(time_axis))
        files.append(folder / f"{number}.wav")
        soundfile.write(files[-1], samples, rate, subtype="PCM_16")
    return files


def against_librosa(front_end: CQT | LogMel, files: list[Path], rounds: int) -> None:
    """Compare a front end with a loop over clips through librosa, on one core."""
    clips = np.stack([load_clip(file, front_end) for file in files])
    reference = librosa_cqt if isinstance(front_end, CQT) else librosa_log_mel

    def ours() -> None:
        for start in range(0, len(clips), BATCH):
            front_end(torch.from_numpy(clips[start : start + BATCH]))

    def theirs() -> None:
        for clip in clips:
            spectrogram = reference(clip, front_end)
            deviation = spectrogram.std()
            _ = (spectrogram - spectrogram.mean()) / (deviation if deviation > 0 else 1.0)

    seconds, seconds_librosa = best_of(rounds, ours, theirs)
    print(
        f"{type(front_end).__name__}: {len(clips) / seconds:.0f} clips/s, "
        f"librosa loop {len(clips) / seconds_librosa:.0f} clips/s, one core: "
        f"{seconds_librosa / seconds:.1f} times as fast"
    )


def librosa_cqt(clip: np.ndarray, front_end: CQT) -> np.ndarray:
    """Return the clip's (bins, frames) in dB."""
    magnitudes = np.abs(
        librosa.cqt(
            clip,
            sr=front_end.sample_rate,
            hop_length=front_end.hop_length,
            fmin=front_end.minimum_frequency,
            n_bins=front_end.bins,
            bins_per_octave=front_end.bins_per_octave,
        )
    )
    return librosa.amplitude_to_db(magnitudes, ref=np.max, top_db=front_end.top_db)


def librosa_log_mel(clip: np.ndarray, front_end: LogMel) -> np.ndarray:
    """Return the clip's (bands, frames) in dB."""
    power = librosa.feature.melspectrogram(
        y=clip,
        sr=front_end.sample_rate,
        n_fft=front_end.window,
        hop_length=front_end.window,
        n_mels=front_end.bands,
        fmin=front_end.minimum_frequency,
        fmax=front_end.maximum_frequency,
        pad_mode="reflect",
    )
    levels = librosa.power_to_db(power, ref=np.max, top_db=front_end.top_db)
    return levels[:, : front_end.frames]


def filling(front_end: FrontEnd, files: list[Path], jobs: int, rounds: int, bare: Executor) -> None:
    """Fill new stores with one worker and with several, and then a full one.

    What the machine itself gains by several processes is measured beside it, by processes that
    read and transform the same files and share nothing.
    """
    shares = [files[number::jobs] for number in range(jobs)]
    with tempfile.TemporaryDirectory() as folder:
        made: list[FeatureStore] = []

        def first_fill(jobs: int) -> None:
            made.append(FeatureStore(Path(folder) / str(len(made))))
            made[-1].fill(files, front_end, jobs=jobs, progress=False)

        one, several, bare_one, bare_several = best_of(
            rounds,
            lambda: first_fill(1),
            lambda: first_fill(jobs),
            lambda: bare.submit(read_and_transform, front_end, files).result(),
            lambda: list(bare.map(read_and_transform, [front_end] * jobs, shares)),
        )

        def found() -> None:
            FeatureStore(made[-1].folder.parent).fill(files, front_end, progress=False)

        (again,) = best_of(rounds, found)
    gain, ceiling = one / several, bare_one / bare_several
    print(
        f"store, {type(front_end).__name__}: {len(files) / one:.0f} clips/s with 1 job, "
        f"{len(files) / several:.0f} with {jobs}: {gain:.2f} times as fast, where {jobs} bare "
        f"processes gain {ceiling:.2f}: {gain / ceiling:.0%} of what the machine has; filled "
        f"before: {len(files) / again:.0f} clips/s"
    )


def read_and_transform(front_end: FrontEnd, files: list[Path]) -> None:
    """Do the work that fills a store, and keep nothing."""
    for start in range(0, len(files), BATCH):
        for _ in transformed(
            [load_clip(f, front_end) for f in files[start : start + BATCH]], front_end
        ):
            pass


def best_of(rounds: int, *works: Callable[[], object]) -> tuple[float, ...]:
    """Return the least seconds that each piece of work took, after one round to warm up."""
    seconds = [[timed(work) for work in works] for _ in range(rounds + 1)]
    return tuple(np.min(seconds[1:], axis=0).tolist())


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that the work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
