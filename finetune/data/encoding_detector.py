"""The encoding that bytes look like, for the sentence that refuses them. Nothing is ever read by a guess.

charset-normalizer compares the encodings. It is made for long texts, so what is certain is decided before: byte-order marks,
zeros, damaged UTF-8, and cp1252, the encoding of Western Windows, wherever its characters make sense.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

# In this order, since the mark of UTF-16 begins that of UTF-32.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
ISO_2022 = re.compile(rb"\x1b\$[@AB(]|\x1b\$\)C|\x1b\(J")
UTF_8_LETTER = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# The encodings that were in wide use.
WIDELY_USED = (
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp437", "cp850", "cp866", "mac_roman",
    "koi8_r", "iso8859_2", "cp932", "euc_jp", "gb18030", "big5", "euc_kr",
)  # fmt: skip
RELATIVES = ("cp1250", "cp1254", "cp1257")
"""Like cp1252, with other letters for other languages."""
SAMPLE = 2**14
"""Bytes that are compared at most."""
DAMAGE = 0.25
"""UTF-8 is damaged rather than another encoding while less than this share of its letters is broken."""


def likely_encoding(data: bytes, start: int) -> str | None:
    """The encoding that `data` looks like, as Python calls it; None if it looks like none. `start` is the first odd byte."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    if (zeros := data.count(0)) > len(data) // 8:
        return of_zeros(data, zeros)
    if ISO_2022.search(data):
        return "iso2022_kr" if b"\x1b$)C" in data else "iso2022_jp"
    broken = data.decode("utf-8", "replace").count("\ufffd")
    if broken <= DAMAGE * len(UTF_8_LETTER.findall(data)):
        return "utf-8"
    if zeros:
        return None
    return of_letters(sample_of(data, start))


def of_zeros(data: bytes, zeros: int) -> str:
    """UTF-16 has a zero in every second byte of Western text, UTF-32 three in four."""
    if zeros > len(data) * 5 // 8:
        return "utf-32-le" if data[0] else "utf-32-be"
    return "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"


def sample_of(data: bytes, start: int) -> bytes:
    """The lines with other bytes than ASCII's, each once, from that of the byte `start` on."""
    lines = data[data.rfind(b"\n", 0, start) + 1 :][: 4 * SAMPLE].splitlines(keepends=True)
    return b"".join(dict.fromkeys(line for line in lines if not line.isascii()))[:SAMPLE]


def of_letters(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    found = [match for match in from_bytes(data, cp_isolation=list(WIDELY_USED)) if makes_sense(data, match.encoding)]
    coherence = {match.encoding: match.coherence for match in found}
    if makes_sense(data, "cp1252") and is_western(data.decode("cp1252")):
        if is_turkish(data.decode("cp1252")):
            return "cp1254"
        likelier = [name for name in RELATIVES if coherence.get(name, 0) > coherence.get("cp1252", 0)]
        return next((name for name in likelier if data.decode(name) != data.decode("cp1252")), "cp1252")
    if found:
        return found[0].encoding
    return next((name for name in WIDELY_USED if makes_sense(data, name)), None)


def makes_sense(data: bytes, encoding: str) -> bool:
    """Whether nearly all characters beyond ASCII stand where such characters stand in a text."""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    odd = beyond = 0
    for before, char, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if not char.isascii() or (char < " " and not char.isspace()):
            beyond += 1
            odd += is_odd(before, char, after)
    return odd * 8 <= beyond


def is_odd(before: str, char: str, after: str) -> bool:
    """A capital after a small letter, a symbol within a word, an opening quotation mark after a letter, or a control."""
    if before.islower() and char.isupper():
        return True
    if before.isalpha() and after.isalpha() and not char.isalpha():
        return char not in "’‘–—…·\u00ad"
    return (
        (before.isalpha() and char in "‚„‹¿¡")
        or (after.isalpha() and char == "™")
        or unicodedata.category(char) == "Cc"
    )


def is_turkish(text: str) -> bool:
    """Whether what cp1252 reads as ð, þ and ý is ğ, ş and ı: Icelandic, which has those letters, has as many accents."""
    return re.search("[ðÐþÞýÝ]", text) is not None and re.search("[áéíóúæÁÉÍÓÚÆ]", text) is None


def is_western(text: str) -> bool:
    """Whether letters beyond ASCII come one or two at a time, as in the languages that cp1252 is for."""
    beyond = len(re.findall(r"[^\W\d_a-zA-Z]", text))
    return sum(map(len, re.findall(r"(?:(?![a-zA-Z])[^\W\d_]){3,}", text))) * 8 <= beyond
