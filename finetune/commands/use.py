"""`use`: choose the bundle that is served and deployed.

python -m finetune use NAME
"""

from __future__ import annotations

from app.engine.bundle_parts import open_whole_bundle
from app.engine.default_bundle import MODELS
from app.errors import SettingError
from finetune.default_choice import choose_default
from finetune.inventory import find_bundle


def use(model: str, /) -> None:
    """Choose the default: the bundle that `serve` and `deploy` take.

    Args:
        model: a bundle in models/, such as jokes or models/jokes
    """
    bundle = find_bundle(model)
    if bundle.parent.resolve() != MODELS.resolve():
        raise SettingError(f"{bundle} is not right in {MODELS} of this folder: copy it there.")
    open_whole_bundle(bundle)  # One that is damaged could not be served.
    choose_default(bundle)
    print(f"{bundle} is the default now: it is what is served and deployed")
