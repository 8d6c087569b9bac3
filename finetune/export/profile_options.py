"""The options of `export` that say how a model wants to be used and shown: its profile."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from app.engine.checkpoint_folder import CheckpointFolder
from app.engine.profile import Profile, SamplingDefaults
from app.errors import SettingError
from finetune.export.beginnings import corpus_beginnings
from finetune.generation_config import read_sampling_defaults
from finetune.option_ranges import check_ranges
from finetune.run_folder import RunFolder
from finetune.template_option import read_template


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """What is not given is taken from the run: the template and the beginnings of its data, and an import's defaults."""

    template: str | None = None
    r"""how a conversation is put to the model: text (as it is), qa ([QUESTION] … [ANSWER]), chat (an end of text after each
    turn), or the tags before a person's and the model's turn, such as '[USER] %\n[BOT] %'; by default as in the training data"""
    questions: str | None = None
    """the same for a single question, where the model learned other tags for those; the bot's jokes begin with it"""
    title: str = ""
    """the title of the model's page"""
    about: str = ""
    """a line below the title that says what the model writes"""
    accent: str = ""
    """the colour of the model's words on its page, such as #2438a8; on dark paper a lighter one is mixed from it"""
    beginning: list[str] = field(default_factory=list)
    """a text or a message to start with, which the page offers; repeat it for more; by default four from the training
    data, unless that has chats, mails or direct messages"""
    temperature: float | None = None
    """the model's default, for every request that does not say otherwise, as the options that follow"""
    top_p: float | None = None
    """choose among the likeliest tokens that add up to p, 0 for all"""
    top_k: int | None = None
    """choose among the k likeliest tokens, 0 for all"""
    min_p: float | None = None
    """choose among the tokens at least p times as likely as the likeliest"""
    repetition_penalty: float | None = None
    """above 1, tokens that were used before are less likely"""
    length: int | None = None
    """new tokens at most"""

    def profile(self, source: CheckpointFolder) -> Profile:
        """The profile of a checkpoint. Raises SettingError, which names the option, and CheckpointError."""
        run = RunFolder(source.folder).description
        template = read_template("template", self.template) if self.template else (run.template if run else "text")
        questions = read_template("questions", self.questions) if self.questions else None
        try:
            return Profile(
                title=self.title,
                about=self.about,
                accent=self.accent,
                template=template,
                questions=None if questions == template else questions,
                sampling=self.sampling(source),
                beginnings=self.beginning or (corpus_beginnings(run) if run else []),
            )
        except ValueError as error:
            raise SettingError(f"--{error}.".replace("--beginnings", "--beginning")) from None

    def sampling(self, source: CheckpointFolder) -> SamplingDefaults:
        """The given defaults, else those beside the checkpoint."""
        names = [name for name in SamplingDefaults.__struct_fields__ if hasattr(self, name)]
        given = SamplingDefaults(**{name: getattr(self, name) for name in names})
        check_ranges(given)
        known = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not None}
        own = read_sampling_defaults(source.folder)
        return msgspec.structs.replace(own, **known) if known else own


def own_profile(source: CheckpointFolder) -> Profile:
    """What a checkpoint itself says of how to use it: its training data's template, and the defaults of an import."""
    run = RunFolder(source.folder).description
    return Profile(template=run.template if run else "text", sampling=read_sampling_defaults(source.folder))
