"""People of chats: how many messages each wrote, and which of them the model is to write like."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from app.errors import SettingError

SHOWN = 20
"""People who are listed."""


def choose_people(messages: Counter[str], given: Sequence[str]) -> frozenset[str]:
    """The people whose messages are the model's, by their names in full or in part; without any, asks on a terminal.

    `messages` counts what each person wrote. Raises SettingError.
    """
    people = [name for name, _ in sorted(messages.items(), key=lambda item: (-item[1], item[0]))]
    if len(people) == 1:
        raise SettingError(
            f"all messages are by {people[0]}, and a conversation needs two people: give an export with the answers too."
        )
    if given:
        found = frozenset(find_person(people, name) for name in given)
        if len(found) == len(people):
            raise SettingError("--model-is names everybody in these chats: leave out who talks to the model.")
        return found
    if sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
        return frozenset([ask_person(people, messages)])
    listed = ", ".join(f"{name!r} ({messages[name]:,} messages)" for name in people[:SHOWN])
    more = f" and {len(people) - SHOWN:,} more" if len(people) > SHOWN else ""
    raise SettingError(f"say whom the model should write like, with --model-is NAME: {listed}{more}.")


def find_person(people: Sequence[str], name: str) -> str:
    """The person of this name: exactly, else without regard to case, else the only one whose name contains it."""
    wanted = name.strip().casefold()
    for same in (
        [person for person in people if person == name],
        [person for person in people if person.casefold() == wanted],
        [person for person in people if wanted and wanted in person.casefold()],
    ):
        if len(same) == 1:
            return same[0]
        if same:
            raise SettingError(
                f"--model-is {name} may be {' or '.join(map(repr, same[:SHOWN]))}: give the name in full."
            )
    nearest = get_close_matches(name, people, n=3, cutoff=0.4) or people[:3]
    raise SettingError(f"--model-is {name} is nobody in these chats: did you mean {' or '.join(map(repr, nearest))}?")


def ask_person(people: Sequence[str], messages: Counter[str]) -> str:
    """Ask on the terminal until a number or a name is given."""
    print("Whom should the model write like?", file=sys.stderr)
    for number, name in enumerate(people[:SHOWN], start=1):
        print(f"  {number:>2}  {name}, {messages[name]:,} messages", file=sys.stderr)
    if len(people) > SHOWN:
        print(f"      and {len(people) - SHOWN:,} more, by name", file=sys.stderr)
    while True:
        print("Number or name: ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
        if not answer:
            raise SettingError("nobody was named: give --model-is NAME.")
        try:
            return person_of(people, answer.strip())
        except SettingError as error:
            print(error, file=sys.stderr)


def person_of(people: Sequence[str], answer: str) -> str:
    if answer.isdecimal() and 1 <= int(answer) <= min(SHOWN, len(people)):
        return people[int(answer) - 1]
    return find_person(people, answer)
