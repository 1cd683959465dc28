"""The beginning of a CSV file: lines to skip, comments, the header or the first record."""

from dataclasses import dataclass

from loaders.copy_format import CopyFormat
from loaders.csv_reader import Field, read_record
from loaders.errors import FileError
from loaders.open_file import Readable

READ_BYTES = 512 * 1024
MAX_HEADER_BYTES = 16 * 1024**2
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class FirstRecord:
    """The fields of a file's header, or of its first record, and the offset at which its records begin."""

    fields: list[str]
    data_offset: int


def read_first_record(stream: Readable, copy_format: CopyFormat, path: str) -> FirstRecord:
    """Read a CSV file's header, or its first record where it has no header; FileError if there is none."""
    data, offset, is_whole = b"", 0, False
    while True:
        found = _find(data, copy_format, path)
        if found is not None:
            break
        if is_whole:
            raise FileError(f"{path} is empty: not even a header. Remove it, or export it again.")
        if len(data) > MAX_HEADER_BYTES:
            raise FileError(f"{path}: the first record does not end: an unterminated quote? Is it a CSV file?")
        more = stream.read(READ_BYTES)
        is_whole = not more
        data += more or b"\n"
    fields, begin, end = found
    offset = end if copy_format.has_header else begin
    return FirstRecord([_text(field, copy_format, path) for field in fields], offset)


def _find(data: bytes, copy_format: CopyFormat, path: str) -> tuple[list[Field], int, int] | None:
    """Return the first record's fields, and where it begins and ends; None where that takes more of the file."""
    dialect = copy_format.dialect()
    assert dialect is not None  # noqa: S101 - a file of JSON has no header
    at = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
    for _ in range(copy_format.skip_lines):
        at = data.find(b"\n", at) + 1
        if at == 0:
            return None
    while True:
        if data.startswith((b"\n", b"\r\n"), at):
            at = data.find(b"\n", at) + 1
            continue
        try:
            read = read_record(data, at, dialect)
        except ValueError as error:
            raise FileError(f"{path}: {error}: convert its line ends to newlines.") from error
        if read is None:
            return None
        fields, end = read
        if fields is not None:
            return fields, at, end
        at = end


def _text(field: Field, copy_format: CopyFormat, path: str) -> str:
    encoding = copy_format.encoding
    codec = "utf-8" if encoding is None or encoding.is_rewritten else encoding.codec
    try:
        text = field.value.decode(codec)
    except UnicodeDecodeError as error:
        if field.value[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise FileError(f"{path} is in UTF-16. Declare `encoding: utf-16`.") from error
        raise FileError(f"{path}: the header is not {codec} ({error}). Declare the source's encoding.") from error
    if "\0" in text:
        raise FileError(f"{path}: the header holds a NUL byte. Is it a CSV file, or in UTF-16? Declare its encoding.")
    return text
