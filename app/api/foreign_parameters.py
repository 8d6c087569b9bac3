"""Foreign parameters: what other sites add to the address of a link, and how to tell it from a misspelt field.

Tracking parameters are dropped from every query. For a person with a browser, all parameters that resemble no field are
foreign: the link was made by somebody else. To a program, they are unknown fields, which are refused by name.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from app.api.generate_request import GenerateRequest

# Of advertisements, newsletters, social networks and analytics.
TRACKING_PREFIXES = (
    "utm_", "mtm_", "pk_", "matomo_", "hsa_", "_hs", "__hs", "_ga", "gad_", "fb_", "mc_", "oly_", "vero_", "trk_", "ref_", "at_",
)  # fmt: skip
TRACKING = {
    "fbclid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "_gl", "srsltid", "msclkid", "yclid", "ysclid", "_openstat",
    "twclid", "ttclid", "li_fat_id", "igshid", "igsh", "rdt_cid", "epik", "sccid", "irclickid", "wickedid", "rb_clickid",
    "mkt_tok", "s_cid", "cmpid", "ncid", "spm", "_branch_match_id", "_ke", "_kx", "ml_subscriber", "dm_i", "hsctatracking",
    "trk", "ref", "referrer", "referer", "source", "si", "via", "aff",
}  # fmt: skip
# Fields under the names that they have in other APIs.
OTHER_NAMES = ("prompt", "text", "messages", "input", "max_tokens", "max_length", "n")


def is_tracking(name: str) -> bool:
    return name.lower() in TRACKING or name.lower().startswith(TRACKING_PREFIXES)


def is_foreign(query: bytes) -> bool:
    """Whether all parameters of a query come from elsewhere: none is a field, misspelt, shortened or by another name."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return not any(resembles_field(name.lower()) for name, _ in pairs if not is_tracking(name))


def resembles_field(name: str) -> bool:
    import difflib

    fields = (*GenerateRequest.__struct_fields__, *OTHER_NAMES)
    shortened = len(name) > 2 and any(field.startswith(name) for field in fields)
    return name in fields or shortened or bool(difflib.get_close_matches(name, fields, cutoff=0.75))
