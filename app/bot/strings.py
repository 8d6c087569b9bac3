"""Everything the bot says: messages, notices, and the labels of its buttons and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.bot.chat_state import ChatSampling
from app.bot.languages import COMMANDS
from app.bot.message_limits import cut
from app.engine.profile import Profile
from app.engine.templates import layout_of
from app.errors import PromptTooLong, StoreError, UnknownModel
from app.feedback.store import Source, Tally

VOTE_LABELS = {"up": "👍", "down": "👎"}
ANOTHER, ALOUD = "Another", "🔊"
ONE_MOMENT = "One moment …"
NO_VOICE_NOW = "My voice failed me just now. Please try again."
WRITE_TO_ME = "Write to me and I will answer."
WRITE_A_BEGINNING = "Write how a text begins and I will go on with it."
MOODS = {0.5: "calm", 0.7: "normal", 0.9: "bold", 1.1: "wild"}
"""What the temperatures are called."""
SIZES = {50: "short", 100: "medium", 200: "long", 400: "very long"}
"""What the lengths are called."""
VOTE_COUNTED = {"up": "👍 Your vote is counted. Thank you!", "down": "👎 Your vote is counted. Thank you!"}
VOTE_NOT_STORED = "Your vote could not be saved. Please press again in a minute."
VOTES_OFF = "Votes are not stored here."
STORE_DOWN = "I cannot reach my settings and votes right now. Please try again in a minute."
NOTHING_WRITTEN = "Nothing came to mind. Please try again, or say it differently."
INTERNAL_ERROR = "Something went wrong on my side, and the error has been logged."
ONLY_TEXT = "I can only read text. Could you write it to me in words?"
NO_PICTURES = "I am sure it is worth seeing, but I cannot see, only read. Tell me in words what it shows."
NO_SOUND = "I would love to listen, but I can only read. Could you write it to me?"
NO_STICKERS = "That looks like fun, but I cannot see stickers, only read words. What would it say?"
EXPIRED_BUTTON = "This button has expired. Please ask again."
MESSAGE_GONE = "I can no longer see the message that this answers. Please send it again."
NEW_CONVERSATION = "It has been quiet for a while, so I have let go of what we said before, and we begin anew."
STRANGE_LETTERS = "My vocabulary does not have these letters, so I can only guess: I learned from texts in other ones."
CHAT_STARTED = "From now on I remember what we say. Use /reset to end the conversation."
CHAT_ENDED = "I have forgotten our conversation. From now on I answer each message on its own."
MODEL_QUESTION = "Which model should write?"
MODEL_HIDDEN = "Here the author of each text is chosen at random, so that the votes are fair."
INLINE_BEGIN = "Write how it begins, and wait a moment"
INLINE_SEND = "Send this"
GUESS_LABELS = {"guess_model": "🤖 A model", "guess_human": "🧑 A person"}
PLAY_NEXT, PLAY_AGAIN, DUET_STOP = "Next", "Play again", "Stop"
NO_GAME = "There is nothing to guess here yet: it needs a model and a file of texts by people to compare it with."
NO_TEXT_TO_GUESS = "I had nothing to show this time. Please try again."
NEEDS_TWO_MODELS = "It takes two models that can hold a conversation, and there are not two here."
DUET_STOPPED = "They finish this turn."
TOP_WEEK = "Liked best this week"
TOP_EVER = "Liked best of all"
TOP_HIDDEN = "While it is hidden who writes, it stays hidden what is liked, so that everybody votes freely."
NO_FAVOURITES = "Nobody has liked a joke yet. A 👍 under one changes that."
NO_TEXTS = "Nothing has been written yet."
MODEL_GONE = "The model chosen for this chat is no longer available. Use /model to choose another one."


def explain(error: Exception) -> str | None:
    """What to tell the person about an error, or None if the error is not one that they can do anything about."""
    if isinstance(error, StoreError):
        return STORE_DOWN
    if isinstance(error, PromptTooLong):
        tokens, window = error.n_prompt_tokens, error.n_ctx
        return f"That is too long for me: it has {tokens} tokens, and I can read {window}. Please shorten it."
    return MODEL_GONE if isinstance(error, UnknownModel) else None


def wait_please(seconds: int) -> str:
    return f"You have reached the limit for now. Please wait {seconds} s."


def not_allowed(person: int) -> str:
    return f"I only answer the people and chats listed in TELEGRAM_ALLOW. Your id is {person}."


def to_guess(question: str, text: str, number: int | None, of: int) -> str:
    """A text whose author is to be guessed. `number` counts the texts of a round, if there are rounds."""
    head = f"Text {number} of {of}" if number else ""
    return "\n\n".join(filter(None, [head, question, text, "Who wrote it?"]))


def verdict(right: bool, source: Source) -> str:
    wrote = "a model wrote it." if source == "model" else "a person wrote it."
    return f"{'✓ Right' if right else '✗ No'}: {wrote}"


def score(right: int, of: int) -> str:
    return f"You told {right} of {of} apart, where chance comes to {of // 2}. Forward this to whoever can do better."


def overview(commands: Sequence[str]) -> str:
    lines = [f"/{command} – {COMMANDS[command]}" for command in commands]
    return "\n".join([WRITE_TO_ME, "", *lines])


def unknown_command(name: str) -> str:
    return f"I don't know /{name} yet, but /help shows what I can do."


def greeting(profile: Profile | None) -> str:
    """Who this is, from the model's manifest. None hides the model, since a blind comparison is under way."""
    if profile is None:
        return f"{MODEL_HIDDEN}\n\n{WRITE_TO_ME}"
    who = "\n".join(filter(None, [profile.title or "A language model", profile.about]))
    talks = layout_of(profile.template).has_turns
    return f"{who}\n\n{WRITE_TO_ME if talks else WRITE_A_BEGINNING}"


def start_labels(profile: Profile | None) -> dict[str, str]:
    """The labels of the three buttons under a greeting, by the actions of the buttons."""
    tells_jokes = profile is None or bool(layout_of(profile.question_template).model)
    labels = {"joke": "Tell me a joke" if tells_jokes else "Write something"}
    if profile is None or layout_of(profile.template).has_turns:
        labels["talk"] = "Let's talk"
    elif profile.beginnings:
        labels["begin"] = "Go on with a beginning"
    return labels | {"help": "What can you do?"}


def model_question(profiles: Mapping[str, Profile]) -> str:
    """Who there is to choose from, with what each says about itself."""
    lines = [f"{profile.title or name}\n{profile.about}".strip() for name, profile in profiles.items()]
    return cut("\n\n".join([MODEL_QUESTION, *lines]))


def current_settings(chosen: ChatSampling) -> str:
    mood = MOODS.get(chosen.temperature, f"temperature {chosen.temperature:g}")
    size = SIZES.get(chosen.length, f"{chosen.length} tokens")
    words = f"about {round(chosen.length * 0.75, -1):.0f} words at most"
    return f"How I write: {mood}. Calm is what one expects, wild is full of surprises.\nHow much: {size}, {words}."


def vote_counts(tallies: Sequence[Tally], age: float) -> str:
    """`age` is in seconds."""
    lines = [f"{tally.generated_by}: 👍 {tally.up}, 👎 {tally.down}, texts {tally.texts}" for tally in tallies]
    counted = f"\n\nCounted {age // 60:.0f} min ago." if age >= 60 else ""
    return ("\n".join(lines) or NO_TEXTS) + counted
