"""Every header gives names that PostgreSQL takes, all different."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.header import SYSTEM_COLUMNS, column_names


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (["id", "isMarried", "HTTPStatus", "last name"], ["id", "is_married", "http_status", "last_name"]),
        (["", "a", " "], ["column_1", "a", "column_3"]),
        (["name", "name", "Name"], ["name", "name_2", "name_3"]),
        (["name", "name", "name_2"], ["name", "name_3", "name_2"]),
        (["aB", "a_b"], ["a_b", "a_b_2"]),
        (["", "column_1"], ["column_1", "column_1_2"]),
        (["2020", "_load_id"], ["_2020", "load_id"]),
        (["xmin", "ctid"], ["xmin_2", "ctid_2"]),
        (["ä" * 40, "ä" * 40], ["ä" * 31, "ä" * 30 + "_2"]),
    ],
    ids=lambda value: ",".join(value)[:20],
)
def test_names(fields: list[str], names: list[str]) -> None:
    assert list(column_names(fields)) == names


def test_renamed_fields() -> None:
    assert column_names(["Størrelse (m²)", "b"], {"Størrelse (m²)": "size_m2"}) == ("size_m2", "b")


@given(st.lists(st.text(max_size=80), max_size=12) | st.lists(st.sampled_from(["a", "A", "a_2", "", "_", "ctid"])))
def test_names_are_unique_and_fit(fields: list[str]) -> None:
    names = column_names(fields)
    assert len(set(names)) == len(names) == len(fields)
    assert all(0 < len(name.encode()) <= 63 for name in names)
    assert not SYSTEM_COLUMNS & set(names)
