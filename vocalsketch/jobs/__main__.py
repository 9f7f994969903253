"""A job in a process of its own: ``python -m vocalsketch.jobs FOLDER ARGUMENTS...``.

The arguments are those that ``vocalsketch fit`` takes.
"""

import sys
from pathlib import Path

from vocalsketch.jobs.run import as_process, train

if __name__ == "__main__":
    sys.exit(as_process(lambda: train(Path(sys.argv[1]), sys.argv[2:])))
