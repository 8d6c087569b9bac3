"""How many GB a second does one core read from memory? A step reads all weights once, so this bounds what any program writes.

`python -m benchmarks.programs.memory` answers each case with `gb_per_s`.
"""

from __future__ import annotations

import json
import sys

from benchmarks.subject import bandwidth

if __name__ == "__main__":
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"gb_per_s": bandwidth()}), flush=True)
