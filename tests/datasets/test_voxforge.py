"""Finding and reading VoxForge's clips."""

import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from vocalsketch.datasets.labelled import LANGUAGES, LabelledClip, load_voxforge, speaker_of
from vocalsketch.errors import ConfigError, DatasetError
from vocalsketch.files import cache_folder


def submit(folder: Path, sentences: dict[str, bytes]) -> Path:
    """Make an extracted submission of files such as wav/a.wav, with texts beside them."""
    for name, content in (sentences | {"etc/readme": b"text", "LICENSE": b"text"}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pack(folder: Path, *, keep: bool = False) -> Path:
    archive = folder.with_name(f"{folder.name}.tgz")
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    if not keep:
        shutil.rmtree(folder)
    return archive


def contents(clips: tuple[LabelledClip, ...]) -> list[bytes]:
    return [clip.path.read_bytes() for clip in clips]


def test_clips_have_the_same_ids_and_bytes_packed_or_extracted(tmp_path: Path) -> None:
    submit(tmp_path / "nl/anna-20080101-abc", {"wav/2.wav": b"two", "wav/1.wav": b"one"})
    submit(tmp_path / "nl/bram-20080101-xyz", {"flac/1.flac": b"three"})
    extracted = load_voxforge(tmp_path, ["nl"])
    assert contents(extracted.clips) == [b"one", b"two", b"three"]
    for folder in list((tmp_path / "nl").iterdir()):
        pack(folder)
    packed = load_voxforge(tmp_path, ["nl"])
    assert [clip.id for clip in extracted.clips] == [
        "nl/anna-20080101-abc/1.wav",
        "nl/anna-20080101-abc/2.wav",
        "nl/bram-20080101-xyz/1.flac",
    ]
    assert [clip.id for clip in packed.clips] == [clip.id for clip in extracted.clips]
    assert [clip.group for clip in packed.clips] == ["anna", "anna", "bram"]
    assert contents(packed.clips) == [b"one", b"two", b"three"]
    assert not packed.missing


def test_a_submission_both_packed_and_extracted_counts_once(tmp_path: Path) -> None:
    archive = pack(submit(tmp_path / "de/eva-20080101-abc", {"wav/1.wav": b"one"}), keep=True)
    archive.write_bytes(b"not even looked at")
    corpus = load_voxforge(tmp_path, ["de"])
    assert contents(corpus.clips) == [b"one"]
    assert corpus.missing == {}


def test_an_archive_is_unpacked_once_and_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    pack(submit(tmp_path / "de/eva-20080101-abc", {"wav/1.wav": b"one"}))
    left = tmp_path / "de/.eva-20080101-abc.unpacking/eva-20080101-abc/wav"
    left.mkdir(parents=True)
    (left / "1.wav").write_bytes(b"o")  # by a process that was killed
    first = load_voxforge(tmp_path, ["de"])
    assert contents(first.clips) == [b"one"]
    assert first.clips[0].path == tmp_path / "de/eva-20080101-abc/wav/1.wav"
    assert not list((tmp_path / "de").glob("*.unpacking")) + list(left.glob("*"))
    (tmp_path / "de/eva-20080101-abc.tgz").unlink()
    assert load_voxforge(tmp_path, ["de"]) == first


def test_archives_where_nothing_can_be_written_are_unpacked_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(submit(tmp_path / "de/eva-20080101-abc", {"wav/1.wav": b"one"}))
    monkeypatch.setattr("os.access", lambda *_: False)
    corpus = load_voxforge(tmp_path, ["de"])
    assert contents(corpus.clips) == [b"one"]
    assert corpus.clips[0].path.is_relative_to(cache_folder())
    assert [path.name for path in (tmp_path / "de").iterdir()] == ["eva-20080101-abc.tgz"]


def test_an_archive_that_climbs_out_writes_nothing(tmp_path: Path) -> None:
    submit(tmp_path / "de/eva-20080101-abc", {"wav/1.wav": b"one"})
    (tmp_path / "evil.wav").write_bytes(b"x")
    with tarfile.open(tmp_path / "de/max-20080101-abc.tgz", "w:gz") as tar:
        tar.add(tmp_path / "evil.wav", "../../outside.wav")
    (tmp_path / "evil.wav").unlink()
    corpus = load_voxforge(tmp_path, ["de"])
    assert corpus.missing == {"damaged archive": ("de/max-20080101-abc.tgz",)}
    assert not list(tmp_path.rglob("outside.wav"))


def test_everything_skipped_is_listed_by_reason(tmp_path: Path) -> None:
    sentences = {"wav/1.wav": b"one", "wav/2.wav": b"", "flac/1.flac": b"same", "wav/._1.wav": b"x"}
    submit(tmp_path / "fr/anne-20080101-abc", sentences)
    submit(tmp_path / "fr/jean-20080101-abc", {"1.wav": b"no audio folder around it"})
    (tmp_path / "fr/luc-20080101-abc.tgz").write_bytes(b"no archive")
    (tmp_path / "fr/index.html").write_text("x")
    corpus = load_voxforge(tmp_path, ["fr"])
    assert [clip.id for clip in corpus.clips] == ["fr/anne-20080101-abc/1.wav"]
    assert corpus.missing == {
        "zero-byte file": ("fr/anne-20080101-abc/2.wav",),
        "the same sentence as wav and flac": ("fr/anne-20080101-abc/1.flac",),
        "no audio folder, or nothing in it": ("fr/jean-20080101-abc",),
        "damaged archive": ("fr/luc-20080101-abc.tgz",),
        "neither a folder nor a .tgz": ("fr/index.html",),
    }


def test_the_limit_goes_round_the_speakers_and_follows_the_seed(tmp_path: Path) -> None:
    many = {f"wav/{number:02}.wav": b"x" for number in range(20)}
    for speaker in ("ada", "bob", "cyd"):
        submit(tmp_path / f"en/{speaker}-20080101-abc", many)
    submit(tmp_path / "en/dan-20080101-abc", {"wav/1.wav": b"x"})
    corpus = load_voxforge(tmp_path, ["en"], limit=10)
    assert Counter(clip.group for clip in corpus.clips) == {
        "ada": 3,
        "bob": 3,
        "cyd": 3,
        "dan": 1,
    }
    assert len(corpus.missing["over the limit of 10 clips per language"]) == 51
    assert load_voxforge(tmp_path, ["en"], limit=10) == corpus
    assert load_voxforge(tmp_path, ["en"], limit=10, seed=1).clips != corpus.clips
    assert len(load_voxforge(tmp_path, ["en"], limit=None).clips) == 61


def test_fewer_clips_than_speakers_come_from_speakers_that_the_seed_draws(tmp_path: Path) -> None:
    for speaker in ("ada", "bob", "cyd", "dan"):
        submit(tmp_path / f"en/{speaker}-20080101-abc", {"wav/1.wav": b"x"})
    chosen = {
        frozenset(clip.group for clip in load_voxforge(tmp_path, ["en"], 2, seed=seed).clips)
        for seed in range(20)
    }
    assert {len(speakers) for speakers in chosen} == {2}
    assert len(chosen) > 3


def test_one_languages_choice_does_not_depend_on_the_others(tmp_path: Path) -> None:
    many = {f"wav/{number:02}.wav": b"x" for number in range(20)}
    submit(tmp_path / "en/ada-20080101-abc", many)
    submit(tmp_path / "it/ugo-20080101-abc", many)
    both = load_voxforge(tmp_path, ["it", "en"], limit=5)
    alone = load_voxforge(tmp_path, ["en"], limit=5)
    assert both.classes == ("it", "en")
    assert tuple(clip for clip in both.clips if clip.label == "en") == alone.clips


def test_anonymous_submissions_are_speakers_of_their_own() -> None:
    assert speaker_of("ralfherzog-20070928-de109") == "ralfherzog"
    assert speaker_of("anonymous-20080101-abc") == "anonymous-20080101-abc"
    assert speaker_of("Anonimo-20080101-abc") == "Anonimo-20080101-abc"
    assert speaker_of("-20080101-abc") == "-20080101-abc"


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        (["sv"], r"No usable clip of sv in .*data download voxforge"),
        (["nl", "ru", "sv"], r"of ru, sv .*1 x zero-byte file"),
    ],
)
def test_a_language_without_a_usable_clip_is_named(
    tmp_path: Path, languages: list[str], message: str
) -> None:
    submit(tmp_path / "nl/anna-20080101-abc", {"wav/1.wav": b"one"})
    submit(tmp_path / "ru/ivan-20080101-abc", {"wav/1.wav": b""})
    with pytest.raises(DatasetError, match=message):
        load_voxforge(tmp_path, languages)


def test_a_root_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere \(passed over: nothing"):
        load_voxforge(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("languages", "limit", "message"),
    [([], 1, "at least one"), (["nl", "nl"], 1, "each once"), (["nl"], 0, "limit is 0")],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, languages: list[str], limit: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_voxforge(tmp_path, languages, limit)


def test_a_synthesised_stand_in_is_called_demo(tmp_path: Path) -> None:
    submit(tmp_path / "en/ada-20080101-abc", {"wav/1.wav": b"x"})
    assert load_voxforge(tmp_path, ["en"]).name == "voxforge"
    (tmp_path / "DEMO").touch()
    assert load_voxforge(tmp_path, ["en"]).name == "demo"


def test_real_speech_in_the_layout_of_voxforge(shared: Path) -> None:
    corpus = load_voxforge(shared / "data" / "voxforge")
    assert Counter(clip.label for clip in corpus.clips) == dict.fromkeys(LANGUAGES, 60)
    assert corpus.missing == {"zero-byte file": ("nl/bigfish-20120923-otv/nl-0999.wav",)}
    speakers = {(clip.label, clip.group) for clip in corpus.clips}
    assert Counter(language for language, _ in speakers) == dict.fromkeys(LANGUAGES, 4) | {"de": 3}


def test_real_speech_decodes_alike_from_an_archive_and_a_folder(
    shared: Path, tmp_path: Path
) -> None:
    source = shared / "data" / "voxforge" / "de"
    for submission in ("kartoffel-20111028-hrf", "kartoffel-20061221-zct"):  # flac, wav
        shutil.copytree(source / submission, tmp_path / "de" / submission)
        pack(tmp_path / "de" / submission)
    packed = load_voxforge(tmp_path, ["de"])
    originals = {clip.id: clip for clip in load_voxforge(source.parent, ["de"]).clips}
    assert len(packed.clips) == 22
    for clip in packed.clips:
        samples, rate = soundfile.read(clip.path)
        expected, _ = soundfile.read(originals[clip.id].path)
        assert rate == 16000
        assert samples.tolist() == expected.tolist()
