"""The options of the verbs that let a model write: `sample` and `chat`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from app.engine.base import Engine
from app.engine.generation import GenerationOptions, Length, Seed
from app.engine.profile import SamplingDefaults
from app.engine.sampling import Sampling
from finetune.option_ranges import check_range, check_ranges

DEFAULT_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class WritingOptions:
    """What is not given is the model's own default, if it has one."""

    length: int | None = None
    """new tokens at most; by default the model's own, else 100"""
    temperature: float | None = None
    """0 always takes the likeliest token; by default the model's own, else 0.7"""
    top_k: int | None = None
    """choose among the k likeliest, 0 for all; by default the model's own, else 0"""
    top_p: float | None = None
    """choose among the likeliest that add up to p, 0 for all; by default the model's own, else 0"""
    min_p: float | None = None
    """choose among those at least p times as likely as the likeliest; by default the model's own, else 0"""
    repetition_penalty: float | None = None
    """above 1, tokens that were used before are less likely; by default the model's own, else 1"""
    seed: int | None = None
    """the same seed gives the same texts; random by default"""

    def check(self) -> None:
        """Raises SettingError naming the first option that is out of its range."""
        if self.length is not None:
            check_range("length", self.length, Length)
        if self.seed is not None:
            check_range("seed", self.seed, Seed)
        check_ranges(SamplingDefaults().sampling(self.sampling))

    @property
    def sampling(self) -> dict[str, float | None]:
        return {name: getattr(self, name) for name in Sampling.__dataclass_fields__ if hasattr(self, name)}

    def for_model(self, engine: Engine) -> GenerationOptions:
        """The options for a model's texts, with its defaults. Without a seed, each call takes another one."""
        defaults = engine.profile.sampling
        return GenerationOptions(
            length=self.length or defaults.length or DEFAULT_LENGTH,
            seed=secrets.randbelow(2**32) if self.seed is None else self.seed,
            sampling=defaults.sampling(self.sampling),
        )
