"""Other tools that load a CSV file into text columns; each is measured where it is installed.

`python -m bench.compare.peers adbc | dlt FILE` is such a tool, in a process of its own.
"""

import importlib.util
import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.compare.loading import Command
from loaders.connection import Address

SCHEMA = "peers"
REPOSITORY = Path(__file__).parents[2]
# Each of them reports its use over the network unless told not to.
QUIET = {"SLING_DISABLE_TELEMETRY": "true", "RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}
ENVIRONMENT = {**QUIET, "PYTHONPATH": str(REPOSITORY)}
PGLOADER = """
load csv from '{file}' having fields ({fields})
into {url} target table public.plain ({fields})
with skip header = 1, fields optionally enclosed by '"', fields terminated by ',';
"""


def peer_commands(file: Path, columns: Sequence[str], rows: int, address: Address) -> list[Command]:
    """Return the commands by which other tools load `file`; `address` is of the database that they fill."""
    sling, pgloader = _program("sling"), _program("pgloader")
    script = file.with_suffix(".load")
    fields = ", ".join(f'"{column}"' for column in columns)
    script.write_text(PGLOADER.format(file=file, fields=fields, url=_url(address)))
    script.chmod(0o600)
    target = ("--tgt-conn", "INGOT_BENCH", "--tgt-object", f"{SCHEMA}.sling", "--mode", "full-refresh")
    here = (sys.executable, "-m", "bench.compare.peers")
    commands = [
        Command(
            name="adbc", title="ADBC, Arrow's CSV reader", table="plain", rows=rows, environment=ENVIRONMENT,
            command=(*here, "adbc", str(file)), missing=_missing("adbc_driver_postgresql", "pyarrow"),
        ),
        Command(
            name="dlt", title="dlt, Arrow batches", table=f"{SCHEMA}.persons", rows=rows, environment=ENVIRONMENT,
            command=(*here, "dlt", str(file)), missing=_missing("dlt", "pyarrow"),
        ),
        Command(
            name="sling", title="sling", table=f"{SCHEMA}.sling", rows=rows,
            command=(str(sling), "run", "--src-stream", f"file://{file}", *target),
            environment={**QUIET, "INGOT_BENCH": f"{_url(address)}?sslmode=disable"},
            missing="" if sling and _holds_sling() else "not installed",
        ),
        Command(
            name="pgloader", title="pgloader", table="plain", rows=rows,
            command=(str(pgloader), "--quiet", str(script)), missing="" if pgloader else "not installed",
        ),
    ]  # fmt: skip
    return [replace(one, origin="peer") for one in commands]


def _missing(*modules: str) -> str:
    return "" if all(importlib.util.find_spec(module) for module in modules) else "not installed"


def _holds_sling() -> bool:
    """Tell whether the package brings its program: later versions download it when they are first run."""
    return any(module.name.startswith("sling_") for module in pkgutil.iter_modules())


def _program(name: str) -> Path | None:
    found = shutil.which(Path(sys.executable).with_name(name)) or shutil.which(name)
    return Path(found) if found else None


def _url(address: Address) -> str:
    user, password = quote(address.user, safe=""), quote(address.password, safe="")
    return f"postgresql://{user}:{password}@{address.host}:{address.port}/{quote(address.database, safe='')}"


def load_by_adbc(file: Path, url: str) -> None:
    """Read the file's columns as text with Arrow, and append them to `plain` by ADBC's binary COPY."""
    import adbc_driver_postgresql.dbapi as adbc

    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("plain", _text_batches(file), mode="append")
        connection.commit()


def load_by_dlt(file: Path, url: str) -> None:
    """Hand the file's Arrow batches to a dlt pipeline of its own."""
    import dlt

    with tempfile.TemporaryDirectory(prefix="ingot-") as folder:
        pipeline = dlt.pipeline(
            "bench",
            destination=dlt.destinations.postgres(credentials=url),
            dataset_name=SCHEMA,
            pipelines_dir=folder,
        )
        pipeline.run(dlt.resource(_text_batches(file), name="persons"), loader_file_format="csv")


def _text_batches(file: Path) -> Any:
    """Return an Arrow reader of the file, every column text."""
    import pyarrow
    from pyarrow import csv

    header = file.open().readline().rstrip("\n").split(",")
    types = dict.fromkeys(header, pyarrow.string())
    return csv.open_csv(file, convert_options=csv.ConvertOptions(column_types=types))


if __name__ == "__main__":
    {"adbc": load_by_adbc, "dlt": load_by_dlt}[sys.argv[1]](Path(sys.argv[2]), _url(Address.from_environment()))
