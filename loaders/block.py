"""A block: whole records of one file, as they are sent to COPY."""

from dataclasses import dataclass, replace

from loaders.cutting import split_records
from loaders.landing_file import LandingFile


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records of one file as they are sent, each with its lineage.

    `offset` is the byte offset of the first record in the uncompressed file, `first_record` its number (the first
    record after the header is 1). `data` ends in a newline. A record that was written anew is alone in its block, and
    `original` is how it stands in the file; `rewritten` is 1 if COPY would have misread its quotes.
    """

    file: LandingFile
    data: bytes
    offset: int
    first_record: int
    records: int
    has_quoted_newlines: bool
    original: bytes = b""
    rewritten: int = 0

    @property
    def raw(self) -> bytes:
        """The one record of a block of one, as it stands in the file."""
        return self.original or self.data[self.file.lineage.size(self.first_record, 1) :]

    def halves(self) -> tuple["Block", "Block"]:
        """Return the two halves of a block of at least two records."""
        records = self._split()
        middle = len(records) // 2
        first = b"".join(records[:middle])
        return (
            replace(self, data=first, records=middle),
            replace(
                self,
                data=b"".join(records[middle:]),
                offset=self.offset + len(first) - self.file.lineage.size(self.first_record, middle),
                first_record=self.first_record + middle,
                records=len(records) - middle,
            ),
        )

    def with_plain_line_ends(self) -> "Block":
        """Return the block with records ended by plain newlines: COPY refuses two kinds of line end in one go."""
        if b"\r\n" not in self.data:
            return self
        records = (record.removesuffix(b"\r\n") for record in self._split())
        return replace(self, data=b"".join(record.removesuffix(b"\n") + b"\n" for record in records))

    def without_blank_lines(self) -> list["Block"]:
        """Return the block in parts without the lines that are no records; itself where there are none."""
        dialect, size = self.file.dialect, self.file.lineage.size
        if dialect is None or dialect.keep_blank_lines or self.original:
            return [self]
        parts: list[Block] = []
        run: list[bytes] = []
        offset, number = self.offset, self.first_record
        records = self._split()
        for record in [*records, b""]:
            lineage = size(number, 1) if record else 0
            if record[lineage:] not in (b"", b"\n", b"\r\n"):
                run.append(record)
            elif run:
                first = number - len(run)
                length = sum(map(len, run)) - size(first, len(run))
                parts.append(
                    replace(self, data=b"".join(run), offset=offset - length, first_record=first, records=len(run))
                )
                run = []
            offset += len(record) - lineage
            number += 1
        return [self] if [part.records for part in parts] == [len(records)] else parts

    def _split(self) -> list[bytes]:
        dialect = self.file.dialect
        return split_records(
            self.data, dialect.copy_quote if dialect is not None and self.has_quoted_newlines else None
        )


@dataclass(frozen=True, slots=True)
class BadRecord:
    """One record that cannot be cut out as the format says; `raw` may be its beginning only."""

    file: LandingFile
    raw: bytes
    offset: int
    record: int
    reason: str
