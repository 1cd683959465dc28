"""Run one dbt command again and again until standard input closes, and print a line of JSON a run.

`python -m tests.project.dbt_loop FOLDER run --select people`, with the artifacts in FOLDER: one process parses once.
"""

import json
import sys
import threading
from pathlib import Path

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt_common.behavior_flags import BehaviorFlagRendered


def main(folder: Path, command: list[str]) -> None:
    # As in conftest.py: dbt searches all modules for the caller of each flag.
    BehaviorFlagRendered._default_source = lambda _: "tests"  # type: ignore[method-assign,assignment,misc]
    options = ["--quiet", "--log-path", str(folder / "logs")]
    written = ["--target-path", str(folder / "target")]
    manifest = dbtRunner().invoke([*options, "parse", *written]).result
    assert isinstance(manifest, Manifest)
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    while not closed.is_set():
        said: list[str] = []
        result = dbtRunner(manifest, callbacks=[lambda event, said=said: said.append(event.info.msg)]).invoke(
            [*options, "--no-write-json", *command, *written]
        )
        print(json.dumps({"success": bool(result.success), "said": "\n".join([*said, str(result.exception or "")])}))
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
