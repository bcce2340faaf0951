/** What every page here needs: its own elements, its token, and to write only what has changed. */

/** @template {Element} T @param {string} id @param {new () => T} type @returns {T} */
export function part(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new TypeError(`the page lacks #${id}`);
  return element;
}

/** A token is part of the link that somebody was given: `?token=`, or `#token=`, which no server logs. */
export function tokenFromLink() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  return new URLSearchParams(location.search).get("token") ?? fragment.get("token");
}

/** @param {Element} element @param {string} text */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * An element with its class and text.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function made(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className !== "") element.className = className;
  if (text !== "") element.textContent = text;
  return element;
}

/**
 * Rows of a list, one for each id, changed in place so that the focus stays where it is.
 *
 * @template {HTMLElement} T
 * @param {HTMLElement} list
 * @param {readonly string[]} ids in their order
 * @param {(id: string) => T} make
 * @param {(row: T, id: string) => void} fill
 */
export function rows(list, ids, make, fill) {
  const wanted = new Set(ids);
  /** @type {Map<string, T>} */
  const known = new Map();
  for (const row of /** @type {T[]} */ (Array.from(list.children))) {
    const id = row.dataset["id"] ?? "";
    if (wanted.has(id)) known.set(id, row);
    else row.remove();
  }
  ids.forEach((id, i) => {
    let row = known.get(id);
    if (row === undefined) {
      row = make(id);
      row.dataset["id"] = id;
    }
    if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
    fill(row, id);
  });
}
