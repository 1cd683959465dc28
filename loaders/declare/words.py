"""PostgreSQL's reserved words: a column named like one stands in quotes."""

import re

# pg_get_keywords() of PostgreSQL 18, where catcode is R or T.
WORDS = (
    "all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate "
    "collation column concurrently constraint create cross current_catalog current_date current_role "
    "current_schema current_time current_timestamp current_user default deferrable desc distinct do else end "
    "except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into "
    "is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on "
    "only or order outer overlaps placing primary references returning right select session_user similar some "
    "symmetric system_user table tablesample then to trailing true union unique user using variadic verbose when "
    "where window with "
)
RESERVED = frozenset(WORDS.split())


def needs_quotes(name: str) -> bool:
    """Tell whether SQL reads the name as itself only in quotes."""
    return name in RESERVED or not re.fullmatch(r"[a-z_][a-z0-9_]*", name)


def as_identifier(name: str) -> str:
    """Return the name as SQL has it, quoted where it has to be."""
    return f'"{name}"' if needs_quotes(name) else name
