"""`vocalsketch data`, as a user meets it."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vocalsketch.commands import data
from vocalsketch.commands.actions import declare
from vocalsketch.datamodules import imitated
from vocalsketch.datasets import download, labelled
from vocalsketch.datasets.open import open_corpus
from vocalsketch.datasets.splits import make_split, read_manifest
from vocalsketch.errors import DatasetError, StorageError, VocalSketchError


def run(*words: object) -> int:
    """Run `vocalsketch data` with these words."""
    parser = argparse.ArgumentParser()
    declare(parser, data)
    arguments = parser.parse_args([str(word) for word in words])
    return int(arguments.run(arguments))


def write_tone(path: Path, seconds: float = 0.5, rate: int = 8000, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    waveform = 0.1 * np.sin(np.arange(int(seconds * rate)))
    soundfile.write(path, np.tile(waveform[:, None], channels), rate)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One's own corpus: four sounds of 0.5 s in a category, two imitations of 0.25 s each."""
    for stem in "abcd":
        write_tone(tmp_path / f"own/sounds/beasts/{stem}.wav", rate=16000, channels=2)
        for number in (1, 2):
            write_tone(tmp_path / f"own/imitations/{stem}/{number}.wav", 0.25)
    return tmp_path / "own"


def test_info_counts_files_hours_rates_and_channels(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra in range(4, 16):
        write_tone(root / f"sounds/beasts/{extra}.wav", seconds=30.0, rate=1000)
    assert run("info", root) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"corpus=folder in {root}: a folder of one's own"
    hours = (4 * 0.5 + 12 * 30.0) / 3600
    assert lines[2].split() == ["category", "sounds", "hours", "imitations", "hours"]
    assert lines[3].split() == ["beasts", "16", f"{hours:.3f}", "8", f"{8 * 0.25 / 3600:.3f}"]
    assert lines[4].split()[0] == "all"
    assert lines[6] == "sounds: 1000 Hz (12), 16000 Hz (4); 1 channel(s) (12), 2 channel(s) (4)"
    assert lines[7] == "imitations: 8000 Hz (8); 1 channel(s) (8)"


def test_info_names_what_cannot_be_read_or_is_left_out(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "imitations/a/1.wav").write_bytes(b"no audio")
    rows = [
        f"{imitation.relative_to(root)},sounds/beasts/{imitation.parent.name}.wav,beasts"
        for imitation in sorted(root.glob("imitations/*/*.wav"))
    ]
    table = root / "pairs.csv"
    table.write_text("\n".join(["imitation,sound,category", *rows, "gone.wav,gone.mp3,beasts"]))
    assert run("info", table) == 0
    out = capsys.readouterr().out
    assert "imitations that cannot be read: imitations/a/1.wav" in out
    assert "left out: 2 files that the tables name and the disk lacks (gone.mp3, gone.wav)" in out


@pytest.mark.parametrize("command", ["info", "check"])
def test_files_that_are_no_sounds_are_counted(
    command: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("notes.txt", "sounds/beasts/a.PDF", "sounds/beasts/b.pdf"):
        (root / name).write_text("no sound")
    (root / "sounds/nowhere.mp3").symlink_to(root / "gone.mp3")
    assert run(command, root) == 0
    said = capsys.readouterr().out
    assert "no sounds, left out: 2 .pdf, 1 .txt" in said
    assert "left out: 1 a link that leads nowhere (sounds/nowhere.mp3)" in said


def test_check_lists_every_broken_file_and_fails(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", root) == 0
    assert "12 files decoded, 0 broken: corpus=folder" in capsys.readouterr().out
    (root / "imitations/a/1.wav").write_bytes(b"")
    whole = (root / "imitations/b/2.wav").read_bytes()
    (root / "imitations/b/2.wav").write_bytes(whole[:200])
    soundfile.write(root / "sounds/beasts/c.wav", np.full(900, np.nan), 8000, subtype="FLOAT")
    assert run("check", root) == 1
    out = capsys.readouterr().out
    assert [line.split(":")[0] for line in out.splitlines()[:3]] == ["c.wav", "a/1.wav", "b/2.wav"]
    assert "12 files decoded, 3 broken" in out


def test_check_reads_other_data_sets(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", shared / "data/urbansound8k") == 0
    assert run("check", shared / "data/voxforge") == 1
    first, *out, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("no sounds, left out: ")
    assert second.startswith("no sounds, left out: ")
    assert [*out, last] == [
        "160 files decoded, 0 broken: corpus=urbansound8k",
        "nl/bigfish-20120923-otv/nl-0999.wav: zero-byte file",
        "420 files decoded, 1 broken: corpus=voxforge",
    ]


def test_info_summarises_other_data_sets(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", shared / "data/voxforge") == 0
    out = capsys.readouterr().out
    assert "left out: 1 zero-byte file (nl/bigfish-20120923-otv/nl-0999.wav)" in out
    assert run("info", shared / "data/urbansound8k") == 0
    out = capsys.readouterr().out
    assert "44100 Hz (158), 8000 Hz (1), 48000 Hz (1); 1 channel(s) (159), 2 channel(s)" in out


def test_split_writes_a_manifest_and_never_over_another(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "split.json"
    assert run("split", root, "--out", target) == 0
    assert read_manifest(target) == make_split(open_corpus(root), "paper")
    assert read_manifest(target).fingerprint in capsys.readouterr().out
    written = target.read_bytes()
    with pytest.raises(StorageError, match=r"split\.json exists: .*--force"):
        run("split", root, "--out", target, "--split", "random")
    assert target.read_bytes() == written
    assert run("split", root, "--out", target, "--split", "random", "--seed", 4, "--force") == 0
    assert read_manifest(target).name == "random(seed=4)"


def test_import_everyday_says_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "everyday_filename_translation.csv").write_text(
        "marcel_filename,vocalsketch_filename\nCOW.WAV,cow_mooing.wav\nCat.wav,cat_meowing.wav\n"
    )
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals/COW.WAV").write_bytes(b"moo")
    assert run("import-everyday", tmp_path / "originals", "--root", tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 copied, 0 there before and left as they were",
        f"1 not found in {tmp_path / 'originals'}:",
        "  Cat.wav",
    ]
    assert (tmp_path / "sound_recordings/cow_mooing.wav").read_bytes() == b"moo"


def test_download_passes_on_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def fetch(*arguments: object) -> download.Download:
        asked.append(arguments)
        return download.Download(tmp_path, fetched=2, present=0)

    monkeypatch.setattr(download, "download", fetch)
    monkeypatch.setattr(download, "download_voxforge", fetch)
    for name in data.DOWNLOADS:
        assert run("download", name, "--out", tmp_path) == 0
    words = ("--languages", "nl", "en", "--limit", 5)
    assert run("download", "voxforge", "--out", tmp_path, *words) == 0
    assert asked == [
        (download.PUBLISHED["vocalsketch"], tmp_path),
        (download.PUBLISHED["vimsketch"], tmp_path),
        (download.PUBLISHED["vocal-imitation-set"], tmp_path),
        (download.PUBLISHED["qvim-dev"], tmp_path),
        (tmp_path, labelled.LANGUAGES, 8000),
        (download.PUBLISHED["urbansound8k"], tmp_path),
        (tmp_path, ["nl", "en"], 5),
    ]
    assert f"Downloaded 2 file(s) to {tmp_path}" in capsys.readouterr().out
    with pytest.raises(VocalSketchError, match="--limit are of voxforge, not vocalsketch"):
        run("download", "vocalsketch", "--out", tmp_path, "--limit", 5)


def test_damaged_downloads_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came = download.Download(tmp_path, fetched=1, present=0, damaged=("a.tgz",))
    monkeypatch.setattr(download, "download_voxforge", lambda *_: came)
    assert run("download", "voxforge", "--out", tmp_path) == 1


def test_sounds_are_imitated_by_people_and_what_cannot_be_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stem, seconds in (("a", 0.3), ("b", 0.6)):
        write_tone(tmp_path / f"sounds/birds/{stem}.wav", seconds)
    soundfile.write(tmp_path / "sounds/birds/silent.wav", np.zeros(4000), 8000)
    (tmp_path / "sounds/birds/broken.wav").write_bytes(b"not audio")
    (tmp_path / "sounds/birds/nowhere.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "sounds/birds/notes.txt").write_text("no sound")
    words = ("imitate", tmp_path / "sounds", "--people", 2, "--seed", 3, "--jobs", 1, "--out")
    assert run(*words, tmp_path / "made") == 0
    told = capsys.readouterr().out
    assert "4 imitations of 2 sounds" in told
    assert {line.split(":")[1].strip() for line in told.splitlines()[:2]} == {"silent", "broken"}
    assert "birds/nowhere.wav: a link that leads nowhere\nno sounds, left out: 1 .txt\n" in told
    corpus = open_corpus(tmp_path / "made")
    assert [(sound.label, sound.category) for sound in corpus.sounds] == [
        ("a", "birds"),
        ("b", "birds"),
    ]
    made = [each.path for each in corpus.imitations]
    first = [path.read_bytes() for path in made]
    made[0].unlink()  # as where a call was interrupted
    assert run(*words, tmp_path / "made") == 0
    assert [path.read_bytes() for path in made] == first
    assert first[0] != first[1]


def die(*_: object, **__: object) -> None:
    os._exit(1)


def test_a_process_that_dies_ends_imitating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        write_tone(tmp_path / f"sounds/{number}.wav", 0.3)
    monkeypatch.setattr(imitated, "_imitate_sound", die)
    with pytest.raises(VocalSketchError, match="was killed.*goes on where it was"):
        run("imitate", tmp_path / "sounds", "--jobs", 2, "--out", tmp_path / "made")


def test_imitating_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="No sound lies in .*empty"):
        run("imitate", tmp_path / "empty", "--out", tmp_path / "made")
    with pytest.raises(VocalSketchError, match="people is 0"):
        run("imitate", tmp_path / "empty", "--people", 0, "--out", tmp_path / "made")


def test_demo_prints_where_the_corpora_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vocalsketch.datasets.open.demo", lambda kind: tmp_path / kind)
    assert run("demo", "--print-path") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'corpus'}\n"
    assert run("demo") == 0
    assert capsys.readouterr().out.split()[-1] == str(tmp_path / "urban")


def test_the_root_comes_from_the_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOCALSKETCH_ROOT", str(root))
    assert run("info") == 0
    assert str(root) in capsys.readouterr().out


def test_an_unknown_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere does not exist"):
        run("info", tmp_path / "nowhere")


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, vocalsketch.commands.data; print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
