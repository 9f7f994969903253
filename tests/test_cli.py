"""The command line: quick help, clear errors, exit statuses."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vocalsketch import __version__, cli
from vocalsketch.cli import COMMANDS, EXPERIMENTS, main
from vocalsketch.errors import VocalSketchError


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from vocalsketch.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'librosa', 'numpy', 'pytorch_lightning', 'optuna', 'wandb'}\n"
        "print('IMPORTED', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "IMPORTED []" in done.stdout
    for command in (*EXPERIMENTS, *COMMANDS):
        assert f"\n    {command}" in done.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_commands_help_stays_light(command: str) -> None:
    code = (
        "import sys; from vocalsketch.cli import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit as stop: print('STATUS', stop.code)\n"
        "print('IMPORTED', sorted({'torch', 'librosa', 'optuna', 'wandb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "STATUS 0" in done.stdout
    assert "IMPORTED []" in done.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"vocalsketch {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["fitt"], ["data", "nothing"]])
def test_wrong_use_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def test_bad_input_is_one_message_without_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(["fit", "--config", str(tmp_path / "none.yaml")])
    said = capsys.readouterr().err
    assert status == 1
    assert said.startswith("vocalsketch: error: ")
    assert "none.yaml" in said
    assert "Traceback" not in said
    with pytest.raises(VocalSketchError, match=r"none\.yaml"):
        main(["fit", "--config", str(tmp_path / "none.yaml"), "--debug"])


@pytest.mark.parametrize("encoding", ["cp932", "latin-1", "ascii"])
def test_output_that_is_not_utf_8_has_escapes(encoding: str) -> None:
    code = (
        "import os, sys; from vocalsketch import cli\n"
        "cli._dispatch = lambda _: print('caf\\xe9 \\u2501 \\U0001f3b5 \\udcff')\n"
        "cli.run(); print(os.environ['PYTHONIOENCODING'], os.environ['MPLBACKEND'])"
    )
    inherited = {"PYTHONIOENCODING": encoding, "MPLBACKEND": "module://matplotlib_inline.nowhere"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={**os.environ, **inherited},
    )
    text = "caf\xe9 \u2501 \U0001f3b5 \udcff"
    first, second = done.stdout.splitlines()
    assert first == text.encode(encoding, errors="backslashreplace")
    assert second == f"{encoding}:backslashreplace agg".encode()


def test_sigterm_ends_a_command_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def wait(_: list[str]) -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            ended.append(True)
        return 0

    monkeypatch.setattr(cli, "_dispatch", wait)
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert (cli.run(), ended) == (cli.INTERRUPTED, [True])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
