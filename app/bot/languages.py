"""What people read of the bot before they write to it, in several languages: its commands and a sentence on what to do."""

from __future__ import annotations

from typing import NamedTuple

COMMANDS = {
    "joke": "tell a joke",
    "chat": "start a conversation that I remember",
    "reset": "end the conversation and forget it",
    "model": "choose who writes",
    "settings": "choose how wild and how long I write",
    "top": "show what people like best",
    "stats": "show how the votes stand",
    "duet": "let two models talk to each other",
    "play": "guess who wrote a text, model or human",
    "help": "show what I can do",
}

# Commands that need more than a model.
NEEDS_VOTES, NEEDS_TWO_MODELS, NEEDS_GAME = ("top", "stats"), ("duet",), ("play",)


class Language(NamedTuple):
    """`invitation` stands under what a model says about itself. `page` is the label of the button that opens the page."""

    commands: dict[str, str]
    invitation: str
    page: str


LANGUAGES = {
    "": Language(COMMANDS, "Write to me, vote for what you like, and add me to a group.", "Open"),
    "de": Language(
        {
            "joke": "einen Witz erzählen",
            "chat": "ein Gespräch beginnen, das ich mir merke",
            "reset": "das Gespräch beenden und vergessen",
            "model": "wählen, wer schreibt",
            "settings": "wählen, wie wild und wie lang ich schreibe",
            "top": "zeigen, was am besten gefällt",
            "stats": "zeigen, wie die Stimmen stehen",
            "duet": "zwei Modelle miteinander reden lassen",
            "play": "raten, wer einen Text schrieb: Modell oder Mensch",
            "help": "zeigen, was ich kann",
        },
        "Schreib mir, stimme für das, was dir gefällt, und nimm mich in eine Gruppe auf.",
        "Öffnen",
    ),
    "es": Language(
        {
            "joke": "contar un chiste",
            "chat": "empezar una conversación que recuerdo",
            "reset": "terminar la conversación y olvidarla",
            "model": "elegir quién escribe",
            "settings": "elegir lo atrevido y lo largo que escribo",
            "top": "mostrar lo que más gusta",
            "stats": "mostrar cómo van los votos",
            "duet": "hacer hablar a dos modelos entre sí",
            "play": "adivinar quién escribió un texto: modelo o humano",
            "help": "mostrar lo que sé hacer",
        },
        "Escríbeme, vota por lo que te guste y añádeme a un grupo.",
        "Abrir",
    ),
    "fr": Language(
        {
            "joke": "raconter une blague",
            "chat": "commencer une conversation dont je me souviens",
            "reset": "terminer la conversation et l'oublier",
            "model": "choisir qui écrit",
            "settings": "choisir l'audace et la longueur de mes textes",
            "top": "montrer ce qui plaît le plus",
            "stats": "montrer où en sont les votes",
            "duet": "faire parler deux modèles entre eux",
            "play": "deviner qui a écrit un texte : modèle ou humain",
            "help": "montrer ce que je sais faire",
        },
        "Écris-moi, vote pour ce qui te plaît et ajoute-moi à un groupe.",
        "Ouvrir",
    ),
    "it": Language(
        {
            "joke": "raccontare una barzelletta",
            "chat": "iniziare una conversazione che ricordo",
            "reset": "finire la conversazione e dimenticarla",
            "model": "scegliere chi scrive",
            "settings": "scegliere quanto osare e quanto scrivere",
            "top": "mostrare che cosa piace di più",
            "stats": "mostrare come vanno i voti",
            "duet": "far parlare due modelli tra loro",
            "play": "indovinare chi ha scritto un testo: modello o umano",
            "help": "mostrare che cosa so fare",
        },
        "Scrivimi, vota per ciò che ti piace e aggiungimi a un gruppo.",
        "Apri",
    ),
    "pt": Language(
        {
            "joke": "contar uma piada",
            "chat": "começar uma conversa de que me lembro",
            "reset": "terminar a conversa e esquecê-la",
            "model": "escolher quem escreve",
            "settings": "escolher a ousadia e o tamanho dos textos",
            "top": "mostrar o que mais agrada",
            "stats": "mostrar como estão os votos",
            "duet": "pôr dois modelos a conversar",
            "play": "adivinhar quem escreveu um texto: modelo ou humano",
            "help": "mostrar o que sei fazer",
        },
        "Escreve para mim, vota no que gostas e junta-me a um grupo.",
        "Abrir",
    ),
    "ru": Language(
        {
            "joke": "рассказать шутку",
            "chat": "начать разговор, который я помню",
            "reset": "закончить разговор и забыть его",
            "model": "выбрать, кто пишет",
            "settings": "выбрать, как смело и как длинно я пишу",
            "top": "показать, что нравится больше всего",
            "stats": "показать, как идут голоса",
            "duet": "дать двум моделям поговорить друг с другом",
            "play": "угадать, кто написал текст: модель или человек",
            "help": "показать, что я умею",
        },
        "Напишите мне, голосуйте за то, что нравится, и добавьте меня в группу.",
        "Открыть",
    ),
}
"""By Telegram's language codes; "" is for everybody else."""


def offered(*, votes: bool, two_models: bool, game: bool) -> list[str]:
    """The commands of a bot that stores votes, has two models to show, and has the game; or not."""
    missing = NEEDS_VOTES * (not votes) + NEEDS_TWO_MODELS * (not two_models) + NEEDS_GAME * (not game)
    return [command for command in COMMANDS if command not in missing]
