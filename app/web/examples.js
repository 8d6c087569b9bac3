// Example prompts for a model: those of its profile, or by its name or template.

const QUESTIONS = ["Why did the farmer laugh?", "What do you call a sleepy cat?", "Why was the computer cold?"];
const LINES = ["Once upon a time", "The secret of a good soup is", "Dear diary, today"];
const TALK = ["Hello! How are you?", "What are you doing tonight?", "Tell me something new."];
const named = (lines) => lines.map((text) => ({ name: text, text }));

const STARTER = [
  { name: "a joke", text: "[QUESTION]" },
  { name: "an answer to why the farmer laughed", text: "[QUESTION] Why did the farmer laugh?\n[ANSWER]" },
  { name: "a verdict", text: "[VERDICT]" },
  { name: "small talk", text: "[USER] I love the mountains.\n[BOT]" },
];

/** [{name, text}] */
export function examples(mode, model, profile) {
  const said = profile.beginnings.length ? profile.beginnings : usual(profile);
  if (mode === "chat" || !profile.turns) return named(said);
  if (model === "starter") return STARTER;
  const { person, model: answers } = profile.tags;
  const put = said.map((text) => ({ name: text, text: answers ? `${person} ${text}\n${answers}` : text }));
  const asks = profile.question_tags.person;
  return asks ? [{ name: "a question of its own", text: asks }, ...put] : put;
}

function usual({ turns, template }) {
  if (!turns) return LINES;
  return template === "qa" ? QUESTIONS : TALK;
}
