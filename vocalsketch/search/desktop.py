"""The user's desktop: the sound card records and plays, the file manager shows a file.

Recording and playing need sounddevice, an extra.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from vocalsketch.errors import AudioError, ConfigError
from vocalsketch.features.audio import read_audio
from vocalsketch.search.query import Waveform

if TYPE_CHECKING:
    from vocalsketch.search.shard import Hit

RATE = 44_100  # hz
LONGEST = 60.0  # seconds
OPENING = 10.0  # seconds that a file manager is given


def record(seconds: float, begun: Callable[[], object] = lambda: None) -> tuple[Waveform, int]:
    """Record from the default microphone.

    Args:
        seconds: How long.
        begun: Called when the microphone listens.

    Returns:
        Mono waveform (samples,), and its rate in Hz.

    Raises:
        ConfigError: ``seconds`` is out of range, or there is no sounddevice or PortAudio.
        AudioError: There is no microphone, or it cannot be used.
    """
    if not 0 < seconds <= LONGEST:
        raise ConfigError(f"{seconds} s cannot be recorded: give more than 0 and at most 60.")
    sounddevice = _sounddevice()
    try:
        audio = sounddevice.rec(round(seconds * RATE), samplerate=RATE, channels=1, dtype="float32")
        begun()
        sounddevice.wait()
    except sounddevice.PortAudioError as error:
        raise AudioError(
            f"The microphone cannot be used ({error}): check that it is on."
        ) from error
    return np.asarray(audio)[:, 0], RATE


def play(hit: "Hit") -> None:
    """Play a found sound's best window, and return when it is over."""
    sounddevice = _sounddevice()
    audio, rate = read_audio(hit.file, offset=hit.start, seconds=hit.end - hit.start)
    try:
        sounddevice.play(audio, rate)
        sounddevice.wait()
    except sounddevice.PortAudioError as error:
        raise AudioError(f"{hit.file} cannot be played ({error}).") from error


def reveal(file: Path) -> None:
    """Show a file in the file manager, selected where the manager can do that."""
    if sys.platform == "darwin":
        ways = [["open", "-R", str(file)]]
    elif sys.platform == "win32":
        ways = [["explorer", f"/select,{file}"]]
    else:
        manager = "org.freedesktop.FileManager1"
        show = ["--dest", manager, "--object-path", "/org/freedesktop/FileManager1"]
        show += ["--method", f"{manager}.ShowItems", f"['{file.absolute().as_uri()}']", ""]
        ways = [["gdbus", "call", "--session", *show], ["xdg-open", str(file.parent)]]
    for way in ways:
        try:
            done = subprocess.run(way, capture_output=True, timeout=OPENING, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 or way[0] == "explorer":  # which says 1 in any case
            return
    raise ConfigError(f"No file manager can show {file}: open its folder yourself.")


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ImportError as error:
        raise ConfigError(
            "Recording and playing need sounddevice: `pip install 'vocalsketch[audio]'`."
        ) from error
    except OSError as error:  # it is there, and the library that it wraps is not
        raise ConfigError(
            f"Recording and playing need PortAudio ({error}): install it, on Debian with "
            "`apt install libportaudio2`."
        ) from error
    module: ModuleType = sounddevice
    return module
