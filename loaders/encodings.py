"""Encodings of files, by the names that PostgreSQL and Python have for them."""

import codecs
from dataclasses import dataclass

# PostgreSQL's encodings by the name that Python's codec gives itself. Neither has all of the other's.
BY_CODEC = {
    "ascii": "UTF8",
    "utf-8": "UTF8",
    "utf-8-sig": "UTF8",
    **{f"iso8859-{number}": f"LATIN{number}" for number in range(1, 5)},
    **{f"iso8859-{number}": f"ISO_8859_{number}" for number in range(5, 9)},
    **{f"iso8859-{9 + number}": f"LATIN{5 + number}" for number in range(2)},
    **{f"iso8859-{13 + number}": f"LATIN{7 + number}" for number in range(4)},
    **{f"cp{number}": f"WIN{number}" for number in (866, 874, *range(1250, 1259))},
    "koi8-r": "KOI8R",
    "koi8-u": "KOI8U",
    "big5": "BIG5",
    "cp950": "BIG5",
    "cp932": "SJIS",
    "shift_jis": "SJIS",
    "shift_jis_2004": "SHIFT_JIS_2004",
    "cp949": "UHC",
    "euc_jp": "EUC_JP",
    "euc_jis_2004": "EUC_JIS_2004",
    "euc_kr": "EUC_KR",
    "gb2312": "EUC_CN",
    "gb18030": "GB18030",
    "gbk": "GBK",
    "johab": "JOHAB",
}
# The codec of each of PostgreSQL's names; where two give one, the better known.
CODECS = {server: codec for codec, server in BY_CODEC.items()} | {"UTF8": "utf-8", "BIG5": "cp950", "SJIS": "cp932"}
# Other names that PostgreSQL takes, as it compares them: letters and digits only.
ALIASES = {"unicode": "UTF8", "win": "WIN1251", "alt": "WIN866", "koi8": "KOI8R", "mskanji": "SJIS", "tcvn": "WIN1258"}
ALIASES |= {name.lower().replace("_", ""): name for name in CODECS}
# In these a character's second byte can be an ASCII letter or sign, as a delimiter or a quote is.
EMBEDS_ASCII = frozenset({"BIG5", "SJIS", "SHIFT_JIS_2004", "UHC", "GB18030", "GBK", "JOHAB"})


@dataclass(frozen=True)
class Encoding:
    """An encoding: PostgreSQL's name, and Python's codec; or UTF8, and the codec from which the text is rewritten."""

    server: str
    codec: str
    is_rewritten: bool = False


def find_encoding(name: str) -> Encoding | None:
    """Return an encoding by PostgreSQL's or Python's name, None for what neither knows."""
    server = ALIASES.get("".join(letter for letter in name.lower() if letter.isalnum()))
    try:
        found = codecs.lookup(CODECS[server] if server else name)
    except (LookupError, ValueError):
        return None
    # bz2, rot13 and the like are codecs, too.
    if not found._is_text_encoding or found.incrementaldecoder is None:
        return None
    server = server or BY_CODEC.get(found.name)
    if server is None or server in EMBEDS_ASCII:
        return Encoding("UTF8", found.name, is_rewritten=True)
    return Encoding(server, CODECS[server])
