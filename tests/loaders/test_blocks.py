"""Cutting: pure, so against Python's csv module on anything that hypothesis thinks of."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from loaders.block import BadRecord, Block
from loaders.blocks import BlockReader
from loaders.bronze import BronzeFile
from loaders.copy_format import CopyFormat
from loaders.cutting import Lineage, split_records
from loaders.errors import FileError
from loaders.landing_file import LandingFile
from tests.loaders.oracle import csv_records, postgresql_records

QUOTE = b'"'
LINEAGE = Lineage(b"7,8,")
lineages = st.sampled_from([LINEAGE, Lineage(b"7,8,", b","), Lineage(b"7%8%", b"%")])
fields = st.text(alphabet=st.sampled_from('a%,"\n\r é'), max_size=8)
tables = st.lists(st.lists(fields, min_size=2, max_size=4), max_size=12)
block_sizes = st.integers(1, 40)


def as_csv(rows: list[list[str]], line_end: str, *, last_line_end: bool = True) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    data = text.getvalue().encode()
    return data if last_line_end else data.removesuffix(line_end.encode())


@dataclass(frozen=True)
class Memory:
    """A bronze root with one file of these bytes."""

    data: bytes

    def list_files(self, pattern: str) -> list[BronzeFile]:
        return [self.find_file(pattern)]

    def find_file(self, path: str) -> BronzeFile:
        return BronzeFile(self, path, len(self.data), 0)

    def open_file(self, _path: str) -> io.BytesIO:
        return io.BytesIO(self.data)


CSV, JSON = CopyFormat(), CopyFormat(kind="jsonl")


def pieces(
    data: bytes,
    copy_format: CopyFormat = CSV,
    lineage: Lineage = LINEAGE,
    *,
    data_offset: int = 0,
    width: int = 0,
    **options: int,
) -> list[Block | BadRecord]:
    file = LandingFile(
        file=Memory(data).find_file("file"),
        copy_format=copy_format,
        columns={f"column_{number}": "" for number in range(width)},
        data_offset=data_offset,
        lineage=lineage,
    )
    return list(iter(BlockReader(file, **options).next, None))


def raw(block: Block) -> bytes:
    """Return a block's records as they stand in the file."""
    if block.original:
        return block.original
    dialect = block.file.dialect if block.has_quoted_newlines else None
    quote = None if dialect is None else dialect.copy_quote
    records = split_records(block.data, quote)
    size = block.file.lineage.size
    return b"".join(record[size(block.first_record + at, 1) :] for at, record in enumerate(records))


def bytes_of(piece: Block | BadRecord) -> bytes:
    return raw(piece) if isinstance(piece, Block) else piece.raw


@given(tables, st.sampled_from(["\n", "\r\n"]), st.booleans(), block_sizes)
def test_blocks_are_the_records_that_csv_reads(
    rows: list[list[str]], line_end: str, last_line_end: bool, block_bytes: int
) -> None:
    data = as_csv(rows, line_end, last_line_end=last_line_end)
    blocks = pieces(data, block_bytes=block_bytes)
    assert all(isinstance(block, Block) for block in blocks)
    assert b"".join(map(bytes_of, blocks)).removesuffix(b"\n") == data.removesuffix(b"\n")
    number, read = 1, []
    for block in blocks:
        assert isinstance(block, Block)
        assert block.first_record == number
        assert data[block.offset :].startswith(raw(block)[:-1])
        number += block.records
        records = read_csv(raw(block))
        assert len(records) == block.records
        read += records
    assert read == rows


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@given(tables, st.sampled_from(["\n", "\r\n"]), block_sizes, lineages)
def test_a_block_falls_apart_into_its_records(
    rows: list[list[str]], line_end: str, block_bytes: int, lineage: Lineage
) -> None:
    data = as_csv(rows, line_end)
    read = []
    for block in pieces(data, lineage=lineage, block_bytes=block_bytes):
        assert isinstance(block, Block)
        pending = [block]
        while pending:
            part = pending.pop()
            assert data[part.offset :].startswith(raw(part))
            if part.records > 1:
                pending += reversed(part.halves())
                continue
            assert part.raw == raw(part)
            assert part.with_plain_line_ends().data == part.data.removesuffix(line_end.encode()) + b"\n"
            assert part.first_record == len(read) + 1
            read += read_csv(part.raw)
    assert read == rows


@given(tables, st.sampled_from(["\n", "\r\n"]), block_sizes)
def test_numbers_are_those_of_the_file(rows: list[list[str]], line_end: str, block_bytes: int) -> None:
    read = []
    for block in pieces(as_csv(rows, line_end), lineage=Lineage(b"7,8,", b","), block_bytes=block_bytes):
        assert isinstance(block, Block)
        read += read_csv(block.data)
    assert read == [["7", "8", str(number), *row] for number, row in enumerate(rows, start=1)]


@given(tables, st.sampled_from(["\n", "\r\n"]), block_sizes)
def test_lineage_stands_before_every_record_and_nowhere_else(
    rows: list[list[str]], line_end: str, block_bytes: int
) -> None:
    read = []
    for block in pieces(as_csv(rows, line_end), block_bytes=block_bytes):
        assert isinstance(block, Block)
        read += read_csv(block.data)
    assert read == [["7", "8", *row] for row in rows]


@given(st.binary(max_size=200), block_sizes, st.integers(1, 60))
def test_no_byte_is_lost_whatever_the_bytes(data: bytes, block_bytes: int, max_record_bytes: int) -> None:
    assume(not data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")))  # compressed
    for copy_format in (CopyFormat(keep_blank_lines=True), CopyFormat(quote="", keep_blank_lines=True), JSON):
        try:
            cut = pieces(data, copy_format, block_bytes=block_bytes, max_record_bytes=max_record_bytes)
        except FileError:  # the first bytes say that it is no text
            reject()
        numbers = [p.first_record if isinstance(p, Block) else p.record for p in cut]
        counts = [p.records if isinstance(p, Block) else 1 for p in cut]
        assert numbers == [1 + sum(counts[:i]) for i in range(len(cut))]
        whole = b"".join(map(bytes_of, cut))
        assert whole.removesuffix(b"\n") == data.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n")


def test_an_unterminated_quote_costs_its_line_only() -> None:
    [good, bad, rest] = pieces(b'1,a\n2,"b\n3,c\n4,d\n')
    assert isinstance(good, Block)
    assert raw(good) == b"1,a\n"
    assert isinstance(bad, BadRecord)
    assert (bad.raw, bad.record, bad.offset) == (b'2,"b\n', 2, 4)
    assert "unterminated quote" in bad.reason
    assert isinstance(rest, Block)
    assert (raw(rest), rest.first_record) == (b"3,c\n4,d\n", 3)


def test_an_unterminated_quote_far_from_the_end_costs_its_line_only() -> None:
    lines = [b"%d,x\n" % number for number in range(1000)]
    lines[10] = b'10,"x\n'
    cut = pieces(b"".join(lines), block_bytes=16, max_record_bytes=256)
    [bad] = [piece for piece in cut if isinstance(piece, BadRecord)]
    assert (bad.raw, bad.record) == (b'10,"x\n', 11)
    assert sum(piece.records for piece in cut if isinstance(piece, Block)) == 999


def test_a_record_too_long_for_memory_is_refused_and_the_next_one_read() -> None:
    cut = pieces(b"1\n" + b"x" * 5000 + b"\n2\n", JSON, block_bytes=64, max_record_bytes=1000)
    assert [bytes_of(piece)[:2] for piece in cut] == [b"1\n", b"xx", b"2\n"]
    assert isinstance(cut[1], BadRecord)
    assert "5,001 bytes, more than the 1,000" in cut[1].reason
    assert isinstance(cut[2], Block)
    assert (cut[2].first_record, cut[2].offset) == (3, 5003)


@pytest.mark.parametrize("block_bytes", [1, 3, 1000])
def test_records_begin_behind_the_header(block_bytes: int) -> None:
    data = b'\xef\xbb\xbfid,"a\nb"\r\n1,2\r\n'
    [block] = pieces(data, data_offset=13, block_bytes=block_bytes)
    assert isinstance(block, Block)
    assert (raw(block), block.offset, block.first_record) == (b"1,2\r\n", 13, 1)
    assert pieces(b"id,name", data_offset=8) == []


texts = st.text(alphabet=st.sampled_from('ab,"\n \\#'), max_size=60)
DIALECTS: dict[str, tuple[CopyFormat, dict[str, Any]]] = {
    "plain": (CSV, {}),
    "escape": (CopyFormat(escape="\\"), {"escapechar": "\\"}),
    "trim": (CopyFormat(trim=True), {"skipinitialspace": True}),
    "quote none": (CopyFormat(quote=""), {"quoting": csv.QUOTE_NONE}),
}


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=400)
@given(text=texts, block_bytes=block_sizes)
def test_what_copy_gets_is_what_csv_reads(name: str, text: str, block_bytes: int) -> None:
    copy_format, options = DIALECTS[name]
    data = text.encode() + b"\n"
    cut = pieces(data, copy_format, block_bytes=block_bytes)
    bad = [piece for piece in cut if isinstance(piece, BadRecord)]
    if bad:
        # Only what never ends: csv makes a record of it.
        assert [piece.reason[:18] for piece in bad] == ["unterminated quote"] * len(bad)
        data = data[: bad[0].offset]
        cut = cut[: cut.index(bad[0])]
    sent = b"".join(piece.data for piece in cut if isinstance(piece, Block)).decode()
    expected = [record for record in csv_records(data.decode(), **options) if record]
    assert postgresql_records(sent, copy_format.copy_quote) == [["7", "8", *record] for record in expected]
    for piece in cut:
        assert isinstance(piece, Block)
        assert data[piece.offset :].startswith(raw(piece))


def test_stray_quotes_are_rewritten_alone() -> None:
    data = b'1,"a"\n2,5" nail\n3,"b\nc"\n4,6" nail\n5,d\n'
    cut = [piece for piece in pieces(data) if isinstance(piece, Block)]
    assert [piece.data for piece in cut] == [
        b'7,8,1,"a"\n',
        b'7,8,2,"5"" nail"\n',
        b'7,8,3,"b\nc"\n',
        b'7,8,4,"6"" nail"\n',
        b"7,8,5,d\n",
    ]
    assert [piece.rewritten for piece in cut] == [0, 1, 0, 1, 0]
    assert [piece.first_record for piece in cut] == [1, 2, 3, 4, 5]
    assert cut[1].raw == b'2,5" nail\n'


def test_blank_lines_comments_and_ragged_records() -> None:
    data = b'\na,b\n# no, record\n\r\n"x"\n1,2,,\n1,2,3\n'
    cut = [piece for piece in pieces(data, CopyFormat(comment="#", pad=True), width=2) if isinstance(piece, Block)]
    assert b"".join(piece.data for piece in cut) == b'7,8,a,b\n7,8,"x",\n7,8,1,2\n7,8,1,2,3\n'
    assert sum(piece.rewritten for piece in cut) == 0
    assert [piece.first_record for piece in cut] == [1, 2, 3, 4]


def test_a_byte_order_mark_before_json_is_skipped() -> None:
    [block] = pieces(b"\xef\xbb\xbf{}\n", JSON)
    assert bytes_of(block) == b"{}\n"
