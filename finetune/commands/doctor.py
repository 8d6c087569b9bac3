"""`doctor`: what this machine and your Google Cloud project can do, and what to do about the rest.

    gpt2 doctor

The exit code is 0 unless serving or training is broken.
"""

from __future__ import annotations

import dataclasses
import json as json_library
from itertools import chain

from finetune.diagnosis.cloud_findings import cloud_findings
from finetune.diagnosis.local_findings import local_findings
from finetune.terminal import harmless


def doctor(*, json: bool = False) -> None:
    """Look at this machine and your Google Cloud project: ✓ is fine, ! a note, ✗ is broken.

    Args:
        json: print one JSON document for scripts
    """
    found = []
    for finding in chain(local_findings(), cloud_findings()):
        found.append(finding)
        if not json:
            print(harmless(str(finding)), flush=True)
    broken = any(finding.state == "broken" for finding in found)
    if json:
        document = {"broken": broken, "findings": [dataclasses.asdict(finding) for finding in found]}
        print(json_library.dumps(document, indent=2, ensure_ascii=False))
    if broken:
        raise SystemExit(1)
