"""Run a command and print its seconds, its peak memory in bytes and its exit code; its own words go to stderr.

A process apart, and a small one: Linux counts what the parent held at the fork into a child's peak. So it imports
nothing of the project, and `python -S` runs it as a file.
"""

import os
import sys
import time


def main(command: list[str]) -> None:
    """Run `command` to its end; the peak is the largest of any process in its tree."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        try:
            os.execvp(command[0], command)  # noqa: S606 - the very command that is to be timed, without a shell
        finally:
            os._exit(127)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    print(seconds, usage.ru_maxrss * unit, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1:])
