"""Records in bytes: where they end, and what goes before each; nothing is parsed.

A record ends at a newline with an even number of quote bytes before it: that is how PostgreSQL's own CSV reader
finds the end of a record (CopyReadLineText in copyfromparse.c toggles at every quote byte). `bytes.split`,
`bytes.rfind` and `bytes.replace` do it at memory speed. NDJSON has no quote byte: every newline ends a record.
"""

from dataclasses import dataclass

from loaders.quotes import has_stray_quote


@dataclass(frozen=True)
class Lineage:
    """What goes before every record: `prefix`, and the record's number where `number_delimiter` ends one."""

    prefix: bytes
    number_delimiter: bytes | None = None

    def put_before(
        self, data: bytes, first_record: int, quote: bytes | None, parts: list[bytes] | None = None
    ) -> tuple[bytes, int]:
        """Return whole records with their lineage, and how many they are; no `quote`: every newline ends a record.

        `parts` is the data already split at the quote (None: it is split here); it is changed.
        """
        # Putting it there counts the records on the way.
        if self.number_delimiter is None:
            sent = prefix_records(data, self.prefix, quote, parts)
            return sent, (len(sent) - len(data)) // len(self.prefix)
        # One formatting of the whole block takes a third of the time of one a record.
        texts = (data, self.prefix, self.number_delimiter, quote or b"")
        data, before, after, escaped = (text.replace(b"%", b"%%") for text in texts)
        before += b"%d" + after
        template = prefix_records(data, before, quote and escaped)
        records = (len(template) - len(data)) // len(before)
        return template % tuple(range(first_record, first_record + records)), records

    def size(self, first_record: int, records: int) -> int:
        """Return how many bytes go before so many records."""
        if self.number_delimiter is None:
            return records * len(self.prefix)
        digits = sum(len(str(number)) for number in range(first_record, first_record + records))
        return digits + records * (len(self.prefix) + len(self.number_delimiter))


def prefix_records(data: bytes, prefix: bytes, quote: bytes | None, parts: list[bytes] | None = None) -> bytes:
    """Return whole records with `prefix` before each; no `quote`: every newline ends a record."""
    after_newline = b"\n" + prefix
    if quote is None:
        prefixed = data.replace(b"\n", after_newline)
    else:
        parts = parts or data.split(quote)
        parts[0::2] = [part.replace(b"\n", after_newline) for part in parts[0::2]]
        prefixed = quote.join(parts)
    # The last newline ends the data: nothing follows it.
    return b"".join((prefix, memoryview(prefixed)[: -len(prefix)]))


def split_records(data: bytes, quote: bytes | None) -> list[bytes]:
    """Return the records of `data`, each with the newline that ends it; no `quote`: every newline ends a record."""
    records: list[bytes] = []
    record = b""
    # At newlines only: bytes.splitlines also splits at carriage returns.
    for line in data.split(b"\n")[:-1]:
        record += line + b"\n"
        if quote is None or record.count(quote) % 2 == 0:
            records.append(record)
            record = b""
    return records


def last_record_end(data: bytes, quote: bytes | None, delimiter: bytes = b",") -> tuple[int, list[bytes] | None, bool]:
    """Return the index behind the last newline that ends a record, 0 if none does.

    Also the records split at the quote, None if no newline in them is quoted, and whether all their quotes are as
    RFC 4180 has them. If no record ends, the quotes are those of all the data.
    """
    if quote is None:
        return data.rfind(b"\n") + 1, None, True
    # Every second part stands in quotes. One split finds both, at two thirds of the time that counting takes.
    parts = data.split(quote)
    end = len(data)
    for at in range(len(parts) - 1, -1, -1):
        start = end - len(parts[at])
        if at % 2 == 0 and (newline := parts[at].rfind(b"\n")) >= 0:
            is_regular = not has_stray_quote(parts[: at + 1], delimiter)
            # A search of each part takes twelve times as long as joining them.
            if b"\n" not in b"".join(parts[1:at:2]):
                return start + newline + 1, None, is_regular
            return start + newline + 1, [*parts[:at], parts[at][: newline + 1]], is_regular
        end = start - 1
    return 0, None, not has_stray_quote(parts, delimiter)
