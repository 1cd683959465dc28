"""A bronze file's text as UTF-8, uncompressed: as it is stored, or in a copy."""

import codecs
from contextlib import closing
from pathlib import Path

from loaders.bronze import BronzeFile
from loaders.errors import FileError

READ_BYTES = 1024**2
UTF8_SIGNATURE = b"\xef\xbb\xbf"
# Of a compressed file; the encoding is told from as many bytes of any.
COPIED_BYTES = 256 * 1024**2
# What the first bytes say of files that are neither CSV nor NDJSON, and what to do about it.
REFUSED = {
    b"\xff\xfe": "is in UTF-16. Convert it to UTF-8.",
    b"\xfe\xff": "is in UTF-16. Convert it to UTF-8.",
}


def as_utf8(file: BronzeFile, path: Path, folder: Path) -> tuple[str, Path]:
    """Return the file's encoding, and where its text is as UTF-8: itself, or a copy, uncompressed and converted."""
    encoding = _encoding(file, path)
    with closing(file.open()) as stream, path.open("rb") as stored:
        is_plain = stream.read(16) == stored.read(16)
    if is_plain and encoding == "utf-8":
        return encoding, path
    copy = folder / "plain"
    with closing(file.open()) as stream, copy.open("wb") as target:
        while (data := stream.read(READ_BYTES)) and target.tell() < COPIED_BYTES:
            # The other encodings have one byte a character, so that a block can be converted alone.
            target.write(data if encoding == "utf-8" else data.decode(encoding).encode())
    return encoding, copy


def _encoding(file: BronzeFile, path: Path) -> str:
    """Return utf-8, or what is usual where a file is not: its name is PostgreSQL's and Python's."""
    decoder, is_utf8, has_controls = codecs.getincrementaldecoder("utf-8")(), True, False
    with closing(file.open()) as stream:
        first = stream.read(READ_BYTES)
        for magic, remedy in REFUSED.items():
            if first.removeprefix(UTF8_SIGNATURE).lstrip().startswith(magic):
                raise FileError(f"{path} {remedy}")
        data, position = first, 0
        while data and position < COPIED_BYTES:
            position += len(data)
            try:
                decoder.decode(data)
            except UnicodeDecodeError:
                is_utf8 = False
                decoder.reset()
            # Bytes of Windows' letters and quotes, which Latin 1 leaves to control characters.
            has_controls = has_controls or (not is_utf8 and any(byte in data for byte in range(0x80, 0xA0)))
            data = stream.read(READ_BYTES)
    if is_utf8:
        return "utf-8"
    return "windows-1252" if has_controls else "latin1"
