"""GoogleSQL's functions of texts and bytes that are known to agree, with their SQL for DuckDB."""

from __future__ import annotations

from finetune.fetch.googlesql.casts import text_of
from finetune.fetch.googlesql.signatures import declared
from finetune.fetch.googlesql.sql_types import STRING, string_literal
from finetune.fetch.googlesql.typed import Call

# What Unicode calls White_Space, which TRIM removes.
WHITE_SPACE = string_literal(
    "".join(map(chr, (*range(9, 14), 32, 133, 160, 5760, *range(8192, 8203), 8232, 8233, 8239, 8287, 12288)))
)
# Characters that become several: DuckDB maps one to one. (Of capital letters, Σ depends on its neighbours, İ becomes two.)
SPECIAL_SMALLS = (
    r"[\x{DF}\x{149}\x{1F0}\x{390}\x{3B0}\x{587}\x{1E96}-\x{1E9A}\x{1F50}-\x{1F56}\x{1F80}-\x{1FAF}\x{1FB2}-\x{1FBC}"
    r"\x{1FC2}-\x{1FCC}\x{1FD2}-\x{1FD7}\x{1FE2}-\x{1FE7}\x{1FF2}-\x{1FFC}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}]"
)
LARGEST = 4_294_967_295
"""The largest position and length that DuckDB's functions take."""
LARGEST_PADDED = 1_048_576
FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def without_white_space(call: Call) -> str:
    """TRIM, LTRIM and RTRIM. Most texts begin and end with a letter, which is faster to see than what to remove."""
    text = call.arguments[0].sql
    ends = {"TRIM": (1, -1), "LTRIM": (1,), "RTRIM": (-1,)}[call.name]
    clean = " AND ".join(f"{text}[{end}] BETWEEN '!' AND '~'" for end in ends)
    return f"CASE WHEN {clean} THEN {text} ELSE {call.name.lower()}({text}, {WHITE_SPACE}) END"


def substring(call: Call) -> str:
    """SUBSTR: position 0 is 1, a negative one counts from the end, and one before the beginning is the beginning."""
    text, position, *length = call.arguments
    size = f"length({text.sql})"
    if position.is_constant:
        value = min(max(position.value, -LARGEST), LARGEST)
        start = str(max(value, 1)) if value >= 0 else f"greatest({size} - {-value}, 0) + 1"
    else:
        start = (
            f"CASE WHEN {position.sql} > 0 THEN {limited(position.sql)} WHEN {position.sql} = 0 THEN 1 "
            f"WHEN {position.sql} < -{size} THEN 1 ELSE {size} + {position.sql} + 1 END"
        )
    if not length:
        return f"substring({text.sql}, {start})"
    least = call.fail["the length in SUBSTR is negative"]
    count = f"CASE WHEN {length[0].sql} < 0 THEN {least} ELSE {limited(length[0].sql)} END"
    return f"substring({text.sql}, {start}, {count})"


def limited(number: str) -> str:
    """A number of characters that DuckDB's functions take, which is NULL for NULL: least() would not be."""
    return f"CASE WHEN {number} > {LARGEST} THEN {LARGEST} ELSE {number} END"


def end_of_text(call: Call) -> str:
    """LEFT and RIGHT."""
    text, length = (argument.sql for argument in call.arguments)
    negative = call.fail[f"the length in {call.name} is negative"]
    return f"CASE WHEN {length} < 0 THEN {negative} ELSE {call.name.lower()}({text}, {limited(length)}) END"


def instring(call: Call) -> str:
    """INSTR with a position, which counts from the end if it is negative, and the number of the occurrence."""
    text, part, position, *occurrence = (argument.sql for argument in call.arguments)
    number = occurrence[0] if occurrence else "1"
    return (
        f"CASE WHEN {position} = 0 THEN {call.fail['the position in INSTR is 0']} "
        f"WHEN {number} < 1 THEN {call.fail['the occurrence in INSTR is less than 1']} "
        f"ELSE googlesql_instr({text}, {part}, {position}, {number}) END"
    )


def padded(call: Call) -> str:
    text, length, *pattern = (argument.sql for argument in call.arguments)
    filler = pattern[0] if pattern else "' '"
    return (
        f"CASE WHEN {length} < 0 THEN {call.fail[f'the length in {call.name} is negative']} "
        f"WHEN {filler} = '' THEN {call.fail[f'the pattern in {call.name} is empty']} "
        f"WHEN {length} > {LARGEST_PADDED} THEN {call.fail[f'the length in {call.name} is more than {LARGEST_PADDED}']} "
        f"ELSE {call.name.lower()}({text}, CAST({length} AS INTEGER), {filler}) END"
    )


def concatenation(call: Call) -> str:
    """CONCAT takes everything that can be cast to STRING; NULL makes all of it NULL."""
    if any(not argument.type.is_scalar or argument.type.name in ("BYTES", "INTERVAL") for argument in call.arguments):
        raise call.refuse(f"of {' and '.join(sorted({str(argument.type) for argument in call.arguments}))}")
    return f"({' || '.join(text_of(argument) for argument in call.arguments)})"


def character(call: Call) -> str:
    code = call.arguments[0]
    if not code.is_constant or not 0 < code.value < 0x110000 or 0xD800 <= code.value < 0xE000:
        raise call.refuse("of anything but the code of a character, written as a number")
    return f"chr({code.value})"


def normalized(call: Call) -> str:
    form = call.arguments[1].value if len(call.arguments) > 1 else "NFC"
    if form not in FORMS:
        raise call.refuse(f"to {form}: the forms are {', '.join(FORMS)}")
    return f"googlesql_normalize('{form}', {call.arguments[0].sql})"


def upper(call: Call) -> str:
    text = call.arguments[0].sql
    special = f"strlen({text}) <> length({text}) AND regexp_matches({text}, '{SPECIAL_SMALLS}')"
    return f"CASE WHEN {special} THEN googlesql_upper({text}) ELSE upper({text}) END"


def joined(call: Call) -> str:
    """ARRAY_TO_STRING: NULLs are left out, or become the third argument."""
    array, separator, *null = call.arguments
    if array.type.element != STRING:
        raise call.refuse(f"of {array.type}")
    texts = f"list_transform({array.sql}, lambda each: coalesce(each, {null[0].sql}))" if null else array.sql
    return f"CASE WHEN {separator.sql} IS NOT NULL THEN array_to_string({texts}, {separator.sql}) END"


TEXT_FUNCTIONS = declared(
    ("LENGTH|CHAR_LENGTH|CHARACTER_LENGTH(STRING) INT64", "length({0})"),
    ("BYTE_LENGTH|OCTET_LENGTH(STRING) INT64", "strlen({0})"),
    ("LENGTH|BYTE_LENGTH|OCTET_LENGTH(BYTES) INT64", "octet_length({0})"),
    (
        "LOWER(STRING) STRING",
        "CASE WHEN contains({0}, 'Σ') OR contains({0}, 'İ') THEN googlesql_lower({0}) ELSE lower({0}) END",
    ),
    ("UPPER(STRING) STRING", upper),
    ("TRIM|LTRIM|RTRIM(STRING) STRING", without_white_space),
    ("TRIM(STRING, STRING) STRING", "trim({0}, {1})"),
    ("LTRIM(STRING, STRING) STRING", "ltrim({0}, {1})"),
    ("RTRIM(STRING, STRING) STRING", "rtrim({0}, {1})"),
    ("SUBSTR|SUBSTRING(STRING, INT64) STRING", substring),
    ("SUBSTR|SUBSTRING(STRING, INT64, INT64) STRING", substring),
    ("LEFT|RIGHT(STRING, INT64) STRING", end_of_text),
    ("STRPOS|INSTR(STRING, STRING) INT64", "strpos({0}, {1})"),
    ("INSTR(STRING, STRING, INT64) INT64", instring),
    ("INSTR(STRING, STRING, INT64, INT64) INT64", instring),
    ("CONCAT(any...) STRING", concatenation),
    ("REPLACE(STRING, STRING, STRING) STRING", "replace({0}, {1}, {2})"),
    ("SPLIT(STRING) ARRAY<STRING>", "string_split({0}, ',')"),
    ("SPLIT(STRING, STRING) ARRAY<STRING>", "CASE WHEN {1} IS NOT NULL THEN string_split({0}, {1}) END"),
    ("STARTS_WITH(STRING, STRING) BOOL", "starts_with({0}, {1})"),
    ("ENDS_WITH(STRING, STRING) BOOL", "ends_with({0}, {1})"),
    ("REVERSE(STRING) STRING", "googlesql_reverse({0})"),
    (
        "REPEAT(STRING, INT64) STRING!",
        "CASE WHEN {1} < 0 THEN {fail[the number of repetitions in REPEAT is negative]} ELSE repeat({0}, {1}) END",
    ),
    ("LPAD(STRING, INT64) STRING", padded),
    ("LPAD(STRING, INT64, STRING) STRING", padded),
    ("RPAD(STRING, INT64) STRING", padded),
    ("RPAD(STRING, INT64, STRING) STRING", padded),
    ("UNICODE(STRING) INT64", "CASE WHEN {0} = '' THEN 0 ELSE CAST(unicode({0}) AS BIGINT) END"),
    ("CHR(INT64) STRING", character),
    ("NORMALIZE(STRING) STRING", normalized),
    ("NORMALIZE(STRING, part) STRING", normalized),
    ("TO_HEX(BYTES) STRING", "lower(hex({0}))"),
    ("TO_BASE64(BYTES) STRING", "base64({0})"),
    ("MD5(STRING) BYTES", "unhex(md5({0}))"),
    ("SHA1(STRING) BYTES", "unhex(sha1({0}))"),
    ("SHA256(STRING) BYTES", "unhex(sha256({0}))"),
    ("FARM_FINGERPRINT(STRING) INT64", "farm_fingerprint({0})"),
    ("ARRAY_TO_STRING(ARRAY<T>, STRING) STRING", joined),
    ("ARRAY_TO_STRING(ARRAY<T>, STRING, STRING) STRING", joined),
)
