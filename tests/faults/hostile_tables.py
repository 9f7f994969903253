"""Opens damaged tables of an index, each in turn, so that a crash ends this process and no test.

    python hostile_tables.py INDEX FIRST LAST

It prints a line before and after each table, and leaves the index as it was.
"""

import random
import sys
from pathlib import Path

import numpy as np

from vocalsketch.errors import VocalSketchError
from vocalsketch.search import Index


def damaged(data: bytes, number: int) -> bytes:
    rng = random.Random(number)
    changed = bytearray(data)
    if number % 5 == 0:
        return bytes(changed[: rng.randrange(len(changed))])
    for _ in range(rng.choice([1, 2, 8])):
        start, width = rng.randrange(len(changed)), rng.choice([1, 4, 8])
        value = rng.choice([0, 1, 0x7F, 0xFF, 2**31 - 1, 2**32 - 1, 2**63 - 1, rng.getrandbits(64)])
        changed[start : start + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")
    return bytes(changed[: len(data)])


def main(folder: Path, first: int, last: int) -> None:
    table = next(folder.glob("*.arrow"))
    whole = table.read_bytes()
    tone = np.sin(np.arange(8_000) / 9).astype(np.float32)
    for number in range(first, last):
        print(number, flush=True)
        table.unlink()
        table.write_bytes(damaged(whole, number))
        try:
            index = Index.open(folder, threads=1)
            index.search(tone, 8_000, text="door")
            index.paths()
            print("searched", flush=True)
        except VocalSketchError as error:
            print("refused", type(error).__name__, flush=True)
    table.write_bytes(whole)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
