// Inside Telegram: who is there, in Telegram's own signed words, which it puts after the # and the server checks.

import { keep, load, tab } from "./store.js";

const launch = new URLSearchParams(location.hash.slice(1));
const data = launch.get("tgWebAppData");
if (data) {
  keep("telegram", data, tab);
  // Whoever copies the address copies no signature with it.
  history.replaceState(history.state, "", location.pathname + location.search);
  // Telegram waits for this. Its apps listen to an object, its page to messages from the frame.
  window.TelegramWebviewProxy?.postEvent("web_app_ready", "{}");
  if (parent !== window) parent.postMessage('{"eventType":"web_app_ready","eventData":{}}', "*");
}

/** The header that says who is there. None outside of Telegram. */
export function identity() {
  const known = load("telegram", null, tab);
  return known ? { "X-Telegram-Init-Data": known } : {};
}
