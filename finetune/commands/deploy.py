"""`deploy`: put a model online, on Google Cloud Run.

    gpt2 deploy                      the default model
    gpt2 deploy jokes --dry-run      what would be done, as commands for a shell
    gpt2 deploy --telegram -         with a Telegram bot; the token comes from TELEGRAM_TOKEN, or is asked for
    gpt2 deploy --delete             take it back

Everything goes through gcloud, which has to be installed and logged in.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import Annotated, Any

from cyclopts import Parameter

from app.engine.bundle_parts import open_whole_bundle
from app.engine.default_bundle import RUN, deployed_model
from app.errors import FatalError, MachineError, SettingError
from finetune.deployment.cloud_project import CloudProject, find_project
from finetune.deployment.cloud_state import DATASET, CloudState, look_at
from finetune.deployment.deployment_plan import Deployment, plan, secret_names
from finetune.deployment.deployment_summary import costs, removal_summary, summary
from finetune.deployment.gcloud import Step, ask, find_program, understood
from finetune.deployment.live_service import first_answer, qr_code
from finetune.deployment.performed_steps import GOES_ON, perform, said_if_stopped
from finetune.deployment.removal import built_things, removal_plan
from finetune.deployment.service_settings import source_of, url_of
from finetune.deployment.shell_script import SOURCE, TAKE_COMMENTS, UNKNOWN, commands, script
from finetune.deployment.staged_sources import stage_sources
from finetune.deployment.webhook import BotInfo, bot_info, check_token, delete_webhook, set_webhook
from finetune.folder import leaving_at_signals, scratch_folder
from finetune.inventory import find_bundle
from finetune.readable_json import readable_json
from finetune.terminal import consents

SERVICE = re.compile(r"[a-z]([a-z0-9-]{0,47}[a-z0-9])?")
PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z0-9][a-z0-9-]*")
"""Old projects belong to a domain, and may be given by number."""
REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")


def deploy(
    model: str | None = None,
    /,
    *,
    service: str = "gpt-2",
    project: str | None = None,
    region: str | None = None,
    telegram: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    votes: bool = False,
    yes: bool = False,
    dry_run: bool = False,
    delete: bool = False,
    delete_votes: bool = False,
    json: bool = False,
) -> None:
    """Put a model online, on Google Cloud Run.

    Args:
        model: a bundle of models/ or its folder; the default model if left out
        service: the service's name, which is part of its address
        project: the Google Cloud project; gcloud's own if left out
        region: where it runs; gcloud's run/region if left out, else us-central1
        telegram: a bot's token; - takes it from TELEGRAM_TOKEN, or asks, so that it shows in no list of processes
        votes: keep people's votes, in BigQuery
        yes: do not ask
        dry_run: only print the commands for a shell
        delete: remove the service, its image and its secrets; votes are kept
        delete_votes: with --delete, the votes too
        json: print one JSON document for scripts
    """
    check_names(service, project, region)
    check(model, telegram, votes, delete, delete_votes)
    say = partial(print, file=sys.stderr if json else sys.stdout, flush=True)
    with leaving_at_signals():
        if delete:
            result = remove(service, project, region, delete_votes, yes, dry_run, say)
        else:
            result = put_online(model, service, project, region, read_token(telegram), votes, yes, dry_run, say)
    if json:
        sys.stdout.write(readable_json(result).decode())


def check_names(service: str, project: str | None, region: str | None) -> None:
    """Raises SettingError for what cannot be a name. An empty one is a variable that was not set."""
    if not SERVICE.fullmatch(service):
        raise SettingError(
            f"--service is {service!r}, and should be small letters, digits and -, at most 49, a letter first."
        )
    if project is not None and not PROJECT.fullmatch(project):
        raise SettingError(
            f"--project is {project!r}, and should be a project's ID: `gcloud projects list` shows yours."
        )
    if region is not None and not REGION.fullmatch(region):
        raise SettingError(
            f"--region is {region!r}, and should be one such as us-central1: `gcloud run regions list` shows all."
        )


def check(model: str | None, telegram: str | None, votes: bool, delete: bool, delete_votes: bool) -> None:
    """Raises SettingError for options that contradict each other."""
    if delete_votes and not delete:
        raise SettingError("--delete-votes deletes votes together with the service: add --delete.")
    given = [name for name, value in (("MODEL", model), ("--telegram", telegram), ("--votes", votes)) if value]
    if delete and given:
        raise SettingError(f"--delete removes the service, and {given[0]} is for making it: leave one of them out.")


def read_token(telegram: str | None) -> str | None:
    """The bot's token, from the option, TELEGRAM_TOKEN, a question or a line of standard input. Raises SettingError."""
    if telegram is None:
        return None
    token = telegram
    if telegram == "-":
        token = os.environ.get("TELEGRAM_TOKEN", "").strip()
        if not token:
            token = (
                getpass.getpass("The token that @BotFather gave you: ") if sys.stdin.isatty() else sys.stdin.readline()
            )
    check_token(token.strip())
    return token.strip()


def put_online(
    model: str | None,
    service: str,
    project: str | None,
    region: str | None,
    token: str | None,
    votes: bool,
    yes: bool,
    dry_run: bool,
    say: Callable[..., None],
) -> dict[str, Any]:
    if votes and not dry_run:
        find_program("bq")
    bundle = open_whole_bundle(chosen_bundle(model))
    with scratch_folder() as folder:
        place, state = look(project, region, service, secret_names(service) if token else (), votes, dry_run)
        wanted = Deployment(service, bundle, stage_sources(bundle.folder, folder), token, votes)
        steps = plan(wanted, state, place)
        lines = list(summary(wanted, state, place, steps))
        if dry_run:
            steps = plan(replace(wanted, sources=replace(wanted.sources, folder=SOURCE)), state, place)
            shown = print_script(lines, script(steps, place, wanted), steps, place, say)
            return shown | {"cost": costs(wanted, state, place)}
        bot = bot_info(token) if token else None
        say("\n".join([*lines, *([f"bot      {bot.name}"] if bot else [])]))
        if steps:
            agree(yes)
        perform(steps)
    with said_if_stopped(lambda: f"The service {service} is there. {GOES_ON}"):
        url = address_of(service, place)
        answer = first_answer(url, service, place.region)
        if bot and token:
            connect_bot(token, url, bot, steps, state, service)
    store = f"bigquery://{place.name}.{DATASET}" if votes else None
    found = {"url": url, "model": answer.model, "answer": answer.text, "bot": bot and bot.name, "votes": store}
    announce(found, bundle.manifest.name, say)
    return found | {
        "project": place.name,
        "region": place.region,
        "service": service,
        "steps": [step.does for step in steps],
    }


def chosen_bundle(model: str | None) -> Path:
    """A bundle's folder, or the folder of that name in models/. Raises FatalError."""
    if model is not None:
        return find_bundle(model)
    folder = deployed_model()
    if folder == RUN:
        raise SettingError(f"{RUN} is a checkpoint: run `gpt2 export {RUN} models/run1` first, or name a bundle.")
    return folder


def look(
    project: str | None, region: str | None, service: str, secrets: Sequence[str], dataset: bool, dry_run: bool
) -> tuple[CloudProject, CloudState]:
    """The project and what it has. A dry run does without, if nobody can be asked."""
    try:
        place = find_project(project, region, service)
        return place, look_at(place, service, tuple(secrets), dataset)
    except FatalError as error:
        if not dry_run:
            raise
        print(f"note: {error} These commands are for a new project.", file=sys.stderr)
        name = project or UNKNOWN.name
        return CloudProject(name, region or UNKNOWN.region, UNKNOWN.account), CloudState()


def agree(yes: bool) -> None:
    """Ask once. Raises SettingError where nobody can answer, SystemExit for a no."""
    nobody = "nobody is here to agree to this plan: add --yes, or --dry-run to see its commands."
    if not yes and not consents("\nGo on?", nobody):
        print("nothing was changed.", file=sys.stderr)
        raise SystemExit(1)


def print_script(
    lines: Sequence[str], commands: Iterator[str], steps: Sequence[Step], place: CloudProject, say: Callable[..., None]
) -> dict[str, Any]:
    say("\n".join([TAKE_COMMENTS, *(f"# {' '.join(line.splitlines())}".rstrip() for line in lines), "", *commands]))
    shown = [{"does": step.does, "words": step.words, "piped": step.piped or None} for step in steps]
    return {"project": place.name, "region": place.region, "steps": shown}


def address_of(service: str, place: CloudProject) -> str:
    where = ("--region", place.region, "--project", place.name, "--format", "json")
    with understood():
        url = url_of(ask("gcloud", "run", "services", "describe", service, *where))
    if not url:
        raise MachineError(f"the service {service} has no address yet: run the command again in a minute.")
    return url


def connect_bot(token: str, url: str, bot: BotInfo, steps: Sequence[Step], state: CloudState, service: str) -> None:
    """Set the webhook, unless it is set already and its secret is the same.

    Telegram does not tell its secret. Another one shows in updates that could not be delivered: it is then set again.
    """
    name = secret_names(service)[1]
    fresh = next((step.stdin for step in steps if step.stdin and name in step.words), None)
    stored = state.secrets.get(name)
    secret = fresh or (stored.value if stored else None)
    if secret and (fresh or bot.failed or bot.webhook != f"{url}/telegram"):
        try:
            set_webhook(token, secret, url)
        except MachineError as error:
            raise MachineError(f"{url} is deployed, and its bot is not connected to it yet. {error}") from None


def announce(found: dict[str, Any], name: str, say: Callable[..., None]) -> None:
    said = (
        "asks for a key, as API_KEYS says"
        if found["answer"] is None
        else f"answers “Why” with:\n\n{indent(found['answer'].strip(), '    ')}\n"
    )
    say(f"\n{found['url']}\n{qr_code(found['url'])}\nIt {said}")
    if found["answer"] is not None and found["model"] != name:
        say(f"It still answers with {found['model']!r}: ask again in a minute.")
    if found["bot"]:
        say(f"Your bot is {found['bot']}: https://t.me/{found['bot'].removeprefix('@')}")
    elif os.environ.get("TELEGRAM_TOKEN"):
        say("TELEGRAM_TOKEN is set and was not used: `gpt2 deploy --telegram -` makes the bot.")
    if found["votes"]:
        say(f"Votes are kept in {found['votes']}: `gpt2 report --store {found['votes']}` counts them.")


def remove(
    service: str,
    project: str | None,
    region: str | None,
    votes: bool,
    yes: bool,
    dry_run: bool,
    say: Callable[..., None],
) -> dict[str, Any]:
    place = find_project(project, region, service)
    state = look_at(place, service, secret_names(service), dataset=votes)
    if state.service and not source_of(state.service):
        raise SettingError(
            f"the service {service} was not made by `gpt2 deploy`, so it is not deleted here: "
            f"run `gcloud run services delete {service} --region {place.region}`."
        )
    steps = list(removal_plan(service, state, place, built_things(place, service, state), votes))
    lines = list(removal_summary(service, state, place, steps, votes))
    if dry_run:
        return print_script(lines, commands(steps), steps, place, say)
    if not steps:
        say(f"nothing is left of the service {service} in {place.region}, project {place.name}.")
    else:
        say("\n".join(lines))
        agree(yes)
        disconnect_bot(state, service)
        perform(steps)
    return {"project": place.name, "region": place.region, "service": service, "steps": [step.does for step in steps]}


def disconnect_bot(state: CloudState, service: str) -> None:
    """Telegram would go on sending updates to an address that is gone."""
    stored = state.secrets.get(secret_names(service)[0])
    url = url_of(state.service) if state.service else ""
    try:
        if url and stored and stored.value and bot_info(stored.value).webhook.startswith(url):
            delete_webhook(stored.value)
    except MachineError as error:  # Such as for a token that was revoked. What costs money goes all the same.
        print(f"note: the bot's webhook stays as it is. {error}", file=sys.stderr)
