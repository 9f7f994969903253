"""Published weights of networks: which there are, and those that a wheel of PyPI holds."""

import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from vocalsketch.errors import DatasetError
from vocalsketch.files import written_whole

MOBILENETS = tuple(f"mn{tenths:02}" for tenths in (1, 2, 4, 5, 10, 20, 30, 40))  # of EfficientAT
BACKBONES = (*MOBILENETS, "aisfx")

AISFX = "aisfx==0.1.2"
SHA256 = "bfe219950715af179e9a1653e7117cc1852baef267cd6596c42cad74afe1d194"  # of its wheel
CHECKPOINT = "aisfx/models/checkpoint.pth"
NETWORK = "embedding_net."  # begins the names of its weights; the others classify
NOTICE = {
    "source": f"{AISFX} (PyPI), X-Sequential-CE: Ma and Lerch, Representation Learning for the "
    "Automatic Indexing of Sound Effects Libraries, ISMIR 2022; its layout changed by vocalsketch",
    "licence": "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
}
CREDIT = "CC BY 4.0 (begun with the weights of aisfx 0.1.2, Ma and Lerch, ISMIR 2022)"


def download_aisfx(out: Path) -> None:
    """Take the wheel of aisfx from the user's index, and write its network's weights as ``out``.

    Raises:
        DatasetError: pip gets no wheel, or another than the one that is known.
        StorageError: ``out`` cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        wheel = _wheel(Path(folder))
        with written_whole(out) as temporary:
            temporary.write_bytes(converted(wheel))


def converted(wheel: bytes) -> bytes:
    """Return the weights that a wheel of aisfx holds as a safetensors file.

    They are read from a pickle that may name nothing but tensors and numpy's integers.
    """
    import hashlib

    import numpy as np
    import safetensors.torch
    import torch

    found = hashlib.sha256(wheel).hexdigest()
    if found != SHA256:
        raise DatasetError(
            f"The wheel of {AISFX} has the sha256 {found}, not {SHA256}: it was changed or damaged "
            "on the way. Ask another index (PIP_INDEX_URL)."
        )
    integer = np.int64(0)
    named: list[Any] = [(integer.__reduce__()[0], "numpy.core.multiarray.scalar"), np.dtype]
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        stored = io.BytesIO(archive.read(CHECKPOINT))
    with torch.serialization.safe_globals([*named, type(integer.dtype)]):
        try:
            weights, _ = torch.load(stored, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:  # torch's message advises to load it unsafely
            raise DatasetError(f"{CHECKPOINT} of {AISFX} holds more than numbers.") from error
    kept = {name: value for name, value in weights.items() if name.startswith(NETWORK)}
    return safetensors.torch.save(kept, NOTICE)


def _wheel(folder: Path) -> bytes:
    """Return the wheel, by pip, which knows the user's index; nothing is built or installed."""
    asked = (*("--no-deps", "--only-binary=:all:", "--disable-pip-version-check"), "--dest")
    command = (sys.executable, "-m", "pip", "download", *asked, str(folder), AISFX)
    done = subprocess.run(
        command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise DatasetError(
            f"pip cannot download {AISFX} ({said[-1]}): check the connection, the index "
            "(PIP_INDEX_URL) and that pip is installed (python -m ensurepip), and run again."
        )
    return wheels[0].read_bytes()
