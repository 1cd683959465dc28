"""Generate the shop's customers and ledgers: CSV files, the same bytes for the same rows and seed."""

import time
from pathlib import Path
from typing import Any

import duckdb

from bench.environment import repository_path
from bench.generate.files import DRAWS, MEMORY_LIMIT, GeneratedFile, write_csv
from bench.generate.people import FIRST_NAMES, LAST_NAMES

# By the role's share of the customers, in twentieths.
ROLES = ["warrior"] * 8 + ["mage"] * 5 + ["ranger"] * 4 + ["rogue"] * 2 + ["healer"]
FAVOURITES = {"warrior": "weapon", "mage": "other", "ranger": "weapon", "rogue": "armor", "healer": "other"}

MACROS = f"""{DRAWS}
create macro role_of(customer_id) as one_of(customer_id, 'role', getvariable('roles'));
create macro portion(key, choice) as draw(key, choice, 1073741824) / 1073741824;
-- Some buy a lot: a customer's number is small more often than not. Roots are the same everywhere, powers need not be.
create macro some_customer(key, choice, customers) as
    1 + floor(customers * portion(key, choice) * sqrt(portion(key, choice)))::bigint;
-- An entry a minute, at some second of it.
create macro moment(key, choice) as
    strftime(timestamp '2025-01-01' + to_seconds(key * 60 + draw(key, choice, 60)), '%Y-%m-%dT%H:%M:%SZ');
"""

# A name counts up through the pairs of first and last names in strides, so that it is unique without a look at others;
# it depends on no seed, so that a benchmark can name customers that are there.
CUSTOMERS = """
select
    range + 1 as id,
    concat_ws(
        ' ',
        $first_names[1 + (range * 7919) % len($first_names)],
        $last_names[1 + (range * 7919 // len($first_names)) % len($last_names)],
        nullif(1 + range // (len($first_names) * len($last_names)), 1)
    ) as name,
    role_of(range + 1) as role,
    1 + least(draw(range, 'level', 60), draw(range, 'second level', 60)) as level
from range($first, $last)
order by id
"""

# One entry in ten is a purchase by the shop, customer 0, at 60 % of the price; it brings about 20, nine sales take 18.
# Of every sixth item it buys but 16, so that its stock is below zero, and customers wait.
ITEMS_LEDGER = """
with
drawn as (
    select
        range + 1 as id,
        some_customer(range, 'items customer', $customers) as buyer_id,
        happens(range, 'items purchase', 10) as is_purchase,
        moment(range, 'items second') as created_at
    from range($first, $last)
),
chosen as (
    select
        *,
        -- Every second entry is of the type of item that the buyer's role likes, the others of any.
        case when draw(id, 'items taste', 2) = 0
            then one_of(id, 'items item', getvariable('items_by_type')[getvariable('favourites')[role_of(buyer_id)]])
            else 1 + draw(id, 'items item', (select count(*) from items))
        end as item_id
    from drawn
),
changes as (
    select
        *,
        case when is_purchase
            then (case when item_id % 6 = 0 then 12 else 16 end) + draw(id, 'items bought', 9)
            else -1 - draw(id, 'items sold', 3)
        end as qty_change
    from chosen
)
select
    changes.id,
    changes.item_id,
    items.sku as item_sku,
    changes.qty_change,
    -changes.qty_change * items.price * (case when is_purchase then 6 else 10 end) // 10 as credit_change,
    case when is_purchase then 0 else buyer_id end as customer_id,
    changes.created_at
from changes
inner join items on changes.item_id = items.id
order by changes.id
"""

# The same of mods, without tastes. Nobody buys BASIC, and of the last mod less is bought than sold.
MODS_LEDGER = """
with
drawn as (
    select
        range + 1 as id,
        happens(range, 'mods purchase', 10) as is_purchase,
        1 + draw(range, 'mods mod', (select count(*) - 1 from mods)) as mod_id,
        some_customer(range, 'mods customer', $customers) as buyer_id,
        moment(range, 'mods second') as created_at
    from range($first, $last)
),
changes as (
    select
        *,
        case when is_purchase
            then (case when mod_id = (select max(id) from mods) then 12 else 16 end) + draw(id, 'mods bought', 9)
            else -1 - draw(id, 'mods sold', 3)
        end as qty_change
    from drawn
)
select
    changes.id,
    changes.mod_id,
    mods.sku as mod_sku,
    changes.qty_change,
    -changes.qty_change * (10 + 10 * mod_id) * (case when is_purchase then 6 else 10 end) // 10 as credit_change,
    case when is_purchase then 0 else buyer_id end as customer_id,
    changes.created_at
from changes
inner join mods on changes.mod_id = mods.id
order by changes.id
"""


def generate_shop(folder: Path, *, rows: int, seed: int) -> GeneratedFile:
    """Write the shop's three files into `folder`, each whole or not at all; ToolError if one cannot be written.

    Of `rows` in all, a fifth are customers, two fifths entries of the items' ledger, the others of the mods'.
    """
    began = time.monotonic()
    customers = -(-rows // 5)
    items_entries = (rows - customers) // 2
    names = {"first_names": FIRST_NAMES.split(), "last_names": LAST_NAMES.split()}
    files: tuple[tuple[str, str, dict[str, Any], int], ...] = (
        ("customers.csv", CUSTOMERS, names, customers),
        ("items_ledger.csv", ITEMS_LEDGER, {"customers": customers}, items_entries),
        ("mods_ledger.csv", MODS_LEDGER, {"customers": customers}, rows - customers - items_entries),
    )
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as database:
        _prepare(database, seed)
        for name, query, parameters, count in files:
            write_csv(database, folder / name, query, parameters, rows=count)
    written = sum((folder / name).stat().st_size for name, *_ in files)
    return GeneratedFile(folder, rows, written, time.monotonic() - began)


def _prepare(database: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Create the macros, their variables and the tables of items and mods."""
    database.execute(f"set variable seed = {seed:d}")
    database.execute("set variable roles = $1", [ROLES])
    database.execute("set variable favourites = map($1, $2)", [list(FAVOURITES), list(FAVOURITES.values())])
    # The plan of the items is reference data, which dbt loads as a seed: its items are what is sold, at its prices.
    for table in ("items", "mods"):
        plan = repository_path(f"seeds/shop_{table}_plan.csv")
        database.execute(f"create table {table} as from read_csv($1)", [str(plan)])
    database.execute("""
        set variable items_by_type = (
            select map(list(type), list(ids))
            from (select type, list(id order by id) as ids from items group by type)
        )
    """)
    database.execute(MACROS)
