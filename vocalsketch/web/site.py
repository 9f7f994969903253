"""A folder that any web server serves: the page, and all of a search, in the browser alone."""

import hashlib
import json
import os
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import soundfile
from tqdm import tqdm

from vocalsketch import __version__
from vocalsketch.datasets.download import RemoteFile, download_file
from vocalsketch.errors import ConfigError
from vocalsketch.export.folder import export_system
from vocalsketch.export.graph import Precision
from vocalsketch.files import cache_folder, made_whole
from vocalsketch.search import Index, build_index
from vocalsketch.search.library import index_of
from vocalsketch.search.segment import as_numpy
from vocalsketch.systems import System
from vocalsketch.web.clips import audible_clip

HERE = Path(__file__).parent
REGISTRY = "https://registry.npmjs.org"
RUNTIME = "onnxruntime-web-1.22.0.tgz"
RUNTIME_SHA512 = (
    "51dffe101a3a9a1b9a416b7f3a368e93488d5a35ea26879e305afac50104459748647d8e5a91b3bae8f3ee57ee3818"
    "d46ba4c413fb1ce276fb0dae5d34bdf87e"
)
RUNTIME_FILES = {  # as served: some web servers do not know .mjs for a script
    "ort.wasm.min.mjs": "ort.wasm.min.js",
    "ort-wasm-simd-threaded.mjs": "ort-wasm-simd-threaded.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
}
PAGE = "index.html", "page.css", "page.js", "recorder.js", "icon.svg"
OWN = "backend.js", "hearing.js"
WORKER = "service-worker.js"
# What every browser plays, by how it is served and what is in it; all else is converted.
WAV = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}
OGG = {"VORBIS", "OPUS"}
PLAYED = {".wav": WAV, ".flac": {"PCM_S8", "PCM_16", "PCM_24"}, ".mp3": {"MPEG_LAYER_III"}}
PLAYED |= dict.fromkeys((".ogg", ".oga", ".opus"), OGG)
KEPT = 200e6  # bytes of all sounds that a browser keeps for use without a network


@dataclass(frozen=True)
class Site:
    """What a site came to."""

    sounds: int
    converted: int  # sounds that not every browser plays, now WAV as well
    bytes: int  # of all that lies in its folder; of linked sounds, where they lie
    offline: bool  # whether the sounds, too, are kept by a browser


def export_site(
    library: Path,
    system: System,
    out: Path,
    *,
    precision: Precision = "float32",
    licence: str = "not stated",
    audio: Literal["copy", "link"] = "copy",
) -> Site:
    """Write a folder that searches a library in the browser, whole or not at all.

    Args:
        library: The folder of sounds; its index in the cache folder is brought up to date.
        system: Any that ``export_system`` takes.
        out: A folder that does not exist yet, outside of the library.
        precision: Of the models' stored weights.
        licence: Of the weights.
        audio: Whether sounds are copied or linked to.

    Raises:
        ConfigError: The system cannot be exported, or the folder lies in the library.
        DatasetError: The library holds no audio, or onnxruntime-web cannot be downloaded.
        StorageError: The folder exists, or cannot be written.
    """
    if out.absolute().is_relative_to(library.absolute()):
        raise ConfigError(f"{out} lies in {library}, where its copies would be found as sounds.")
    with made_whole(out) as site:
        for folder, names in (("static", PAGE), ("site", (*OWN, WORKER))):
            for name in names:
                shutil.copyfile(HERE / folder / name, site / name)
        (site / ".nojekyll").touch()  # GitHub would leave out what begins with _
        _add_runtime(site / "onnxruntime")
        export_system(system, site / "system", precision=precision, licence=licence)
        kept = index_of(library, system.fingerprint)
        build_index(library, kept, system)
        index = Index.open(kept)
        sounds = _add_library(site, index)
        sounds["converted"] = [
            _add_sound(site, index.file_of(path), path, audio)
            for path in tqdm(sounds["path"], desc="sounds", unit="sound", leave=False, delay=1)
        ]
        about = {"version": __version__, "name": index.library.name, "sounds": sounds}
        about["windows"] = sounds.pop("windows")
        (site / "library.json").write_text(json.dumps(about, separators=(",", ":")))
        offline = _add_worker(site, sounds, system.inner_product)
        size = sum(each.stat().st_size for each in site.rglob("*.*") if each.is_file())
    count = sum(sounds["converted"])
    return Site(index.sounds, count, size, offline)


def registry() -> str:
    """Return npm's registry: of the environment, of the user's .npmrc, or the public one."""
    told = {name.lower(): value for name, value in os.environ.items()}
    file = Path(told.get("npm_config_userconfig") or Path.home() / ".npmrc")
    lines = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    own = re.findall(r"(?m)^\s*registry\s*=\s*(\S+)", lines)
    return (told.get("npm_config_registry") or (own or [REGISTRY])[-1]).rstrip("/")


def _add_runtime(folder: Path) -> None:
    """Copy onnxruntime-web from the cache folder, where it is downloaded once."""
    archive = cache_folder() / "npm" / RUNTIME
    address = f"{registry()}/onnxruntime-web/-/{RUNTIME}"
    download_file(RemoteFile(RUNTIME, address, f"sha512:{RUNTIME_SHA512}"), archive)
    folder.mkdir()
    with tarfile.open(archive) as package:
        for name, served in RUNTIME_FILES.items():
            content = package.extractfile(f"package/dist/{name}")
            assert content is not None, "regular files"
            (folder / served).write_bytes(content.read())


def _add_library(site: Path, index: Index) -> dict[str, Any]:
    """Write the embeddings, by path and start; return columns of sounds, and of ``windows``."""
    numbers = pa.array(np.arange(len(index.table.counting)))
    rows = index.table.rows.append_column("row", numbers).filter(pa.array(index.table.counting))
    rows = rows.sort_by([("path", "ascending"), ("start", "ascending")])
    embeddings = index.table.embeddings(as_numpy(rows.column("row")))
    embeddings.astype("<f4").tofile(site / "embeddings.f32")
    sound = as_numpy(pc.dictionary_encode(rows.column("path")).combine_chunks().indices)
    first = rows.take(pa.array(np.unique(sound, return_index=True)[1]))
    windows = {name: rows.column(name).to_pylist() for name in ("start", "end")}
    columns = {name: first.column(name).to_pylist() for name in ("path", "duration", "sample_rate")}
    return {**columns, "windows": {"sound": sound.tolist(), **windows}}


def _add_sound(site: Path, file: Path, path: str, audio: str) -> bool:
    """Copy, link or convert a sound; return whether it was converted."""
    try:
        played = soundfile.info(file).subtype in PLAYED.get(file.suffix.lower(), ())
    except soundfile.SoundFileError:
        played = False
    own = site / _place(path, converted=not played)
    own.parent.mkdir(parents=True, exist_ok=True)
    if not played:
        own.write_bytes(audible_clip(file))
    elif audio == "link":
        own.symlink_to(file)
    else:
        shutil.copyfile(file, own)
    return not played


def _place(path: str, converted: bool) -> str:
    return f"converted/{path}.wav" if converted else f"sounds/{path}"


def _add_worker(site: Path, sounds: dict[str, Any], inner_product: bool) -> bool:
    """Tell the service worker what a browser keeps; return whether the sounds are of it."""
    files = [*PAGE, *OWN, "library.json", "embeddings.f32", "system/metadata.json"]
    files += ["system/imitation.onnx", *([] if inner_product else ["system/score.onnx"])]
    files += [f"onnxruntime/{name}" for name in RUNTIME_FILES.values()]
    version = hashlib.sha256(b"".join((site / name).read_bytes() for name in files)).hexdigest()
    places = list(map(_place, sounds["path"], sounds["converted"]))
    offline = sum((site / place).stat().st_size for place in places) <= KEPT
    kept = {
        "version": version[:16],
        "files": ["./", *files],
        "sounds": [quote(place, safe="/!'()*~") for place in places] if offline else [],
    }
    worker = (site / WORKER).read_text(encoding="utf-8")
    (site / WORKER).write_text(f"const SITE = {json.dumps(kept)};\n{worker}", encoding="utf-8")
    return offline
