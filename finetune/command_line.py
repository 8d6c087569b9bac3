"""The command line: the verbs, in groups, and how their help looks. A verb is imported only when it is used."""

from __future__ import annotations

import dataclasses
from inspect import BoundArguments
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from cyclopts import App, Group, Parameter
from cyclopts.argument import Argument, ArgumentCollection
from cyclopts.exceptions import CoercionError
from cyclopts.help import DefaultFormatter, HelpPanel, InlineText, PanelSpec
from rich import box
from rich.text import Text

import app

ROOT = Path(__file__).parent.parent


class Verb(NamedTuple):
    group: str
    function: str
    """As module:name. The module's docstring begins with what the verb does."""
    synonyms: tuple[str, ...] = ()
    """What people type who know other programs. The error then names the verb."""


MAKE, BRING, USE, ONLINE, DEVELOP = (
    "From text to model",
    "Bring text and weights",
    "Use a model",
    "Put it online",
    "For developers",
)
# In the order in which they are used.
VERBS = {
    "new": Verb(MAKE, "finetune.commands.new:new", ("make", "create", "auto")),
    "prepare": Verb(MAKE, "finetune.commands.prepare:prepare", ("tokenize", "encode")),
    "train": Verb(MAKE, "finetune.commands.train:train", ("finetune", "fit")),
    "watch": Verb(MAKE, "finetune.commands.watch:watch", ("live", "monitor", "dashboard")),
    "evaluate": Verb(MAKE, "finetune.commands.evaluate:evaluate", ("eval",)),
    "compare": Verb(MAKE, "finetune.commands.compare:compare", ("diff",)),
    "export": Verb(MAKE, "finetune.commands.export:export", ("convert", "build")),
    "fetch": Verb(BRING, "finetune.commands.fetch:fetch"),
    "download": Verb(BRING, "finetune.commands.download:download", ("pull",)),
    "import": Verb(BRING, "finetune.commands.import_:import_"),
    "chat": Verb(USE, "finetune.commands.chat:chat", ("talk", "run")),
    "sample": Verb(USE, "finetune.commands.sample:sample", ("generate",)),
    "serve": Verb(USE, "finetune.commands.serve:serve", ("start",)),
    "list": Verb(USE, "finetune.commands.list_:list_", ("ls",)),
    "show": Verb(USE, "finetune.commands.show:show", ("info", "inspect")),
    "rm": Verb(USE, "finetune.commands.rm:rm", ("remove", "delete")),
    "use": Verb(USE, "finetune.commands.use:use", ("default",)),
    "deploy": Verb(ONLINE, "finetune.commands.deploy:deploy", ("publish",)),
    "doctor": Verb(ONLINE, "finetune.commands.doctor:doctor", ("env", "check", "status")),
    "report": Verb(ONLINE, "finetune.commands.report:report", ("votes",)),
    "starter": Verb(DEVELOP, "finetune.commands.starter:starter"),
    "completion": Verb(DEVELOP, "finetune.commands.completion:completion", ("completions",)),
}
CONFIG_HELP = "--config FILE reads options from a YAML file, --print-config writes one. The command line wins."


def command_line() -> App:
    """The App of all verbs. It imports none of them."""
    whole = App(
        name="gpt2",
        help="Fine-tune GPT-2 on your own text, and put it online.",
        help_epilogue="`gpt2 VERB --help` explains a verb and its options.",
        help_format="plaintext",
        help_formatter=Paragraphs(
            panel_spec=PanelSpec(box=box.SIMPLE, padding=0, title_align="left"), show_metavar=False
        ),
        version=app.__version__,
        config=refuse_fractions,
        default_parameter=Parameter(negative=(), show_default=shown_default),
        group_commands=Group("General"),
        group_parameters=Group("Options"),
        group_arguments=Group("Arguments"),
    )
    groups = {verb.group: Group.create_ordered(verb.group) for verb in VERBS.values()}
    for place, (name, verb) in enumerate(VERBS.items()):
        whole.command(
            verb.function,
            name=name,
            help=purpose(verb),
            synonym=verb.synonyms,
            group=groups[verb.group],
            sort_key=place,
            help_epilogue=CONFIG_HELP,
        )
    return whole


def purpose(verb: Verb) -> str:
    """What a verb does: the first line of its module, read without importing it."""
    source = ROOT.joinpath(*verb.function.partition(":")[0].split(".")).with_suffix(".py")
    with source.open(encoding="utf-8") as lines:
        what = lines.readline().strip().strip('"').partition(": ")[2]
    return what[:1].upper() + what[1:]


class Paragraphs(DefaultFormatter):
    """Help without frames and types: names on the left, on the right paragraphs that are as wide as the terminal."""

    def __call__(self, console: Any, options: Any, panel: HelpPanel) -> None:
        for entry in panel.entries:
            if isinstance(description := entry.description, InlineText):
                text = str(description.primary_renderable)
                description.primary_renderable = Text(" ".join(text.split()))
        super().__call__(console, options, panel)


def refuse_fractions(line: App, verb: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raises CoercionError for 1.5 where a whole number is due. Cyclopts would round it."""
    for argument in arguments:
        for token in argument.tokens:
            if int in kinds(argument.hint) and float not in kinds(argument.hint) and is_fraction(token.value):
                raise CoercionError(token=token, argument=argument, target_type=int)


def kinds(hint: Any) -> set[Any]:
    """The types of a union, or the type itself."""
    return set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}


def is_fraction(value: str) -> bool:
    try:
        return not float(value).is_integer() if "." in value else False
    except ValueError:
        return False


def shown_default(value: Any) -> str | None:
    """The default as the help shows it: nothing for an option that is off."""
    return None if value is None or value is False or value in ((), [], "") else str(value)


def options_of(verb: str) -> list[Argument]:
    """A verb's arguments and options, in the order of its help."""
    arguments = command_line()[verb].assemble_argument_collection(parse_docstring=True)
    return [argument for argument in arguments if argument.parse and argument.name != "*"]


def parsed_options(arguments: list[str]) -> dict[str, Any]:
    """The options of a command line such as ["train", "--data", …] by name, defaults included."""
    _, given, _ = command_line().parse_args(arguments, exit_on_error=False, print_error=False)
    return flat_options(given)


def flat_options(given: BoundArguments) -> dict[str, Any]:
    """A verb's options by name, those of an options class too."""
    given.apply_defaults()
    options: dict[str, Any] = {}
    for name, value in given.arguments.items():
        options |= dataclasses.asdict(value) if dataclasses.is_dataclass(value) else {name: value}  # type: ignore[arg-type]
    return options
