"""Run the command line: `python -m bench`."""

import sys

# The harness's processes import this module again, and need nothing of it.
if __name__ == "__main__":
    from bench.cli import main

    sys.exit(main())
