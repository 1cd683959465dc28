"""What a source declares of its files: refused before anything is claimed where it cannot be."""

import psycopg
import pytest

from loaders.copy_format import CopyFormat
from loaders.encodings import CODECS, EMBEDS_ASCII, find_encoding
from loaders.errors import LoadError
from tests.conftest import Project
from tests.loaders.oracle import count, landed

WRONG = [
    ({"null_text": "a,b"}, "null_text is 'a,b', which holds the delimiter"),
    ({"null_text": 'a"b'}, "null_text is 'a\"b', which holds the quote"),
    ({"null_text": "a\nb"}, "holds a line end"),
    ({"delimiter": '"'}, "delimiter and quote are both"),
    ({"delimiter": "\n"}, "delimiter is '\\n'"),
    ({"delimiter": "\r"}, "delimiter is '\\r'"),
    ({"delimiter": "5"}, "a digit would cut"),
    ({"quote": "\n"}, "quote is '\\n'"),
    ({"quote": "''"}, "not one byte"),
    ({"encoding": "nonsense"}, "encoding is 'nonsense', which neither PostgreSQL nor Python knows"),
    ({"encoding": "rot13"}, "encoding is 'rot13', which neither PostgreSQL nor Python knows"),
    ({"format": "jsonl", "delimiter": ";"}, "delimiter is for csv only"),
]


@pytest.mark.parametrize(("declared", "message"), WRONG)
def test_what_copy_refuses_is_refused_before_a_claim(
    project: Project, connection: psycopg.Connection, declared: dict[str, str], message: str
) -> None:
    project.declare("wrong", **declared)
    project.write("wrong/1.csv", "id,name\n1,a\n")
    done = project.run("load")
    assert done.returncode == 1
    assert message in done.stderr
    assert connection.execute("select to_regclass('ops.loads')").fetchone() == (None,)


def test_all_wrong_declarations_are_named(project: Project) -> None:
    project.declare("a", null_text="a,b", encoding="nonsense")
    project.declare("b", delimiter='"')
    done = project.run("load")
    assert len(done.stderr.splitlines()) == 3


# UTF-16, SJIS and EBCDIC are written anew in UTF-8 on their way.
ENCODED = [
    "utf-16",
    "cp037",
    "cp1252",
    "WIN1252",
    "windows-1252",
    "latin-1",
    "LATIN1",
    "iso-8859-15",
    "utf8",
    "UTF-8",
    "koi8-r",
    "cp866",
]


@pytest.mark.parametrize("encoding", ENCODED)
def test_encodings_are_known_by_either_name(project: Project, connection: psycopg.Connection, encoding: str) -> None:
    project.declare("encoded", encoding=encoding)
    found = find_encoding(encoding)
    assert found is not None
    text = "жук" if found.server in ("KOI8R", "WIN866") else "Müller"
    project.write("encoded/1.csv", f"id,{text}\n1,{text}\n".encode(found.codec))
    assert project.load("encoded").problems == []
    assert set(landed(connection, "encoded", ["id", text.lower()])) == {("1", text)}


def test_copy_takes_every_encoding_of_the_table(connection: psycopg.Connection) -> None:
    connection.execute("create table words (word text)")
    for server in CODECS:
        found = find_encoding(server)
        assert found is not None
        if found.is_rewritten:
            continue
        assert found.server == server
        assert find_encoding(found.codec) is not None
        with connection.cursor().copy(f"copy words from stdin (format csv, encoding '{server}')".encode()) as copy:
            copy.write("ab\n".encode(found.codec))
    assert count(connection, "select count(*) from words where word = 'ab'") == len(CODECS) - len(EMBEDS_ASCII)


def test_a_null_text_that_looks_like_a_load_id(project: Project, connection: psycopg.Connection) -> None:
    project.declare("ones", null_text="1")
    project.write("ones/1.csv", "id,name\n1,a\n2,1\n")
    assert project.load("ones").problems == []
    rows = connection.execute("select _load_id, _file_id, id, name from staging.ones__rows order by name").fetchall()
    assert rows == [(1, 1, None, "a"), (1, 1, "2", None)]


def test_a_copy_refused_before_any_record_fails_the_load(
    project: Project, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the checks do not know of: the statement is to blame, no record is, and there is an end."""
    monkeypatch.setattr(CopyFormat, "problems", lambda _: iter(()))
    project.declare("wrong", null_text="a,b")
    project.write("wrong/1.csv", "id,name\n1,a\n")
    [problem] = project.load("wrong", max_rejects=1000).problems
    assert isinstance(problem, LoadError)
    assert "COPY was refused" in str(problem)
    assert connection.execute("select status from ops.loads").fetchall() == [("failed",)]
    assert count(connection, "select count(*) from ops.rejected_rows") == 0
