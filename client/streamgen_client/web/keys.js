/**
 * The operator's keys. No I/O.
 *
 * Panic has the function keys, which nobody types: they act wherever the focus is. Taking a cover away lies apart from
 * them, on F8, and Escape never does it: people press Escape to leave a field. Digits do the same as the function keys
 * outside text fields, for keyboards where those need another key. Letters act outside text fields only.
 */

/** @typedef {import("./protocol.js").PanicAction} PanicAction */
/** @typedef {{panic: PanicAction} | {review: "next" | "previous" | "approve" | "reject" | "explain"} | "write" | "leave" | "help"} Command */

/** @type {Record<string, PanicAction>} */
const PANIC = { F1: "hold", F2: "slate", F3: "black", F4: "mute", F8: "off" };
/** @type {Record<string, PanicAction>} */
const DIGITS = { 1: "hold", 2: "slate", 3: "black", 4: "mute", 0: "off" };
/** @type {Record<string, Command>} */
const LETTERS = {
  j: { review: "next" }, k: { review: "previous" }, ArrowDown: { review: "next" }, ArrowUp: { review: "previous" },
  a: { review: "approve" }, r: { review: "reject" }, R: { review: "explain" }, "/": "write", "?": "help",
};

/**
 * What a key asks for, or null.
 *
 * @param {Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "repeat">} event
 * @param {boolean} typing whether the focus is in a field that takes text
 * @returns {Command | null}
 */
export function commandOf({ key, ctrlKey, metaKey, altKey, repeat }, typing) {
  if (ctrlKey || metaKey || altKey) return null;
  if (Object.hasOwn(PANIC, key)) return repeat ? null : { panic: /** @type {PanicAction} */ (PANIC[key]) };
  if (key === "Escape") return "leave";
  if (typing) return null;
  if (Object.hasOwn(DIGITS, key)) return repeat ? null : { panic: /** @type {PanicAction} */ (DIGITS[key]) };
  const command = Object.hasOwn(LETTERS, key) ? /** @type {Command} */ (LETTERS[key]) : null;
  // A key that is held down walks through the list, and decides nothing twice.
  const walks = key === "j" || key === "k" || key.startsWith("Arrow");
  return repeat && !walks ? null : command;
}

/** Whether keys go into this element as text. @param {Element | null} element */
export function takesText(element) {
  return element !== null && element.matches("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
}
