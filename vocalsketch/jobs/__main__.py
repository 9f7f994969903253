"""A job in a process of its own: ``python -m vocalsketch.jobs FOLDER ARGUMENTS...``.

The arguments are those that ``vocalsketch fit`` takes.
"""

import sys
from pathlib import Path

from vocalsketch.errors import VocalSketchError
from vocalsketch.jobs.pool import INTERRUPTED
from vocalsketch.jobs.run import end_with_parent, train


def main(arguments: list[str]) -> int:
    """Run the job; return the exit status."""
    end_with_parent()
    try:
        train(Path(arguments[0]), arguments[1:])
    except VocalSketchError as error:
        print(f"vocalsketch: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
