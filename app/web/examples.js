// Example prompts for a model: by its name if it is known here, otherwise by its template.

const QUESTIONS = ["Why did the farmer laugh?", "What do you call a sleepy cat?", "Why was the computer cold?"];
const LINES = ["Once upon a time", "The secret of a good soup is", "Dear diary, today"];
const named = (lines) => lines.map((text) => ({ name: text, text }));

const WRITE = {
  starter: [
    { name: "a joke", text: "[QUESTION]" },
    { name: "an answer to why the farmer laughed", text: "[QUESTION] Why did the farmer laugh?\n[ANSWER]" },
    { name: "a verdict", text: "[VERDICT]" },
    { name: "small talk", text: "[USER] I love the mountains.\n[BOT]" },
  ],
  qa: [
    { name: "a question of its own", text: "[QUESTION]" },
    ...QUESTIONS.map((text) => ({ name: text, text: `[QUESTION] ${text}\n[ANSWER]` })),
  ],
  text: named(LINES),
  chat: named(["Hello, how are you?", "What are you doing tonight?"]),
};
const CHAT = {
  qa: named(QUESTIONS),
  text: named(LINES),
  chat: named(["Hello! How are you?", "What are you doing tonight?", "Tell me something new."]),
};

/** [{name, text}] */
export function examples(mode, model, template) {
  return mode === "write" ? WRITE[model] ?? WRITE[template] : CHAT[template];
}
