"""A mail is what its writer wrote in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.finetune.data.reading import read

MBOX = b"""From anna@x.org Sun Dec 13 10:00:00 2020
From: "Anna Schmidt" <anna@x.org>
To: Bob <bob@x.org>
Subject: =?utf-8?q?Ducks_=E2=80=93_again?=
Content-Type: text/plain; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

Hi Bob,

caf=E9 at ten? My number is 555-1234.
>From here it is near.

--=20
Anna
x.org

From bob@x.org Sun Dec 13 11:00:00 2020 +0100
From: bob@x.org
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/html; charset=utf-8

<p>Yes, <b>Anna</b>.</p><p>See you &amp; others.</p>
--b
Content-Type: image/png
Content-Transfer-Encoding: base64

iVBORw0K
--b--

From x@x.org Mon Dec 14 11:00:00 2020
Content-Type: text/plain; charset=klingon

I agree.

On Sunday, Anna Schmidt
<anna@x.org> wrote:
> Hi
> you

-----Original Message-----
Not this.

From x@x.org Mon Dec 14 11:00:00 2020
Content-Type: application/pdf

x
"""
MAILS = [
    "Hi Bob,\n\ncafé at ten? My number is 555-1234.\nFrom here it is near.",
    "Yes, Anna.\n\nSee you & others.",
    "I agree.",
]


@pytest.mark.parametrize("name", ["a.mbox", "Sent", "a.txt"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_mail_is_what_its_writer_wrote(name: str, line_end: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(MBOX.replace(b"\n", line_end))
    assert read(tmp_path / name) == MAILS


def test_a_mail_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MBOX.split(b"\n", 1)[1].split(b"\nFrom bob")[0])
    assert read(tmp_path / "a.eml") == MAILS[:1]
