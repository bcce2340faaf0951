/** What a new prompt does to the past: a list of ways where the model can read it again, and else a box for a cut. */

/** @typedef {"usual" | "keep" | "blend" | "recache" | "cut"} Way */
/** @typedef {{recache?: boolean, transition_ms?: number, cut?: boolean}} AskedOfPast fields of a prompt */

export const BLEND_MS = 3000;

/** @type {Record<Way, AskedOfPast>} */
const ASKED = {
  usual: {}, keep: { recache: false }, blend: { transition_ms: BLEND_MS }, recache: { recache: true }, cut: { cut: true },
};

/** What a prompt says to have its way with the past. @param {string} way @returns {AskedOfPast} */
export function askedOfPast(way) {
  return Object.hasOwn(ASKED, way) ? ASKED[/** @type {Way} */ (way)] : {};
}

/** The control, of which one form is shown. Each lies in a label of its own. */
export class Past {
  #box;
  #list;
  #recaches = false;

  /** @param {HTMLInputElement} box for a cut @param {HTMLSelectElement} list of ways */
  constructor(box, list) {
    this.#box = box;
    this.#list = list;
    this.offer(false);
  }

  /** Show the form that the model has a use for. @param {boolean} recaches it can read its past again under a new prompt */
  offer(recaches) {
    this.#recaches = recaches;
    label(this.#box).hidden = recaches;
    label(this.#list).hidden = !recaches;
  }

  /** @param {boolean} disabled */
  set disabled(disabled) {
    this.#box.disabled = this.#list.disabled = disabled;
  }

  /** What the next prompt says. */
  get asked() {
    return askedOfPast(this.#recaches ? this.#list.value : this.#box.checked ? "cut" : "usual");
  }

  /** A prompt has gone. A cut was for it alone; any other way stays. */
  sent() {
    this.#box.checked = false;
    if (this.#list.value === "cut") this.#list.value = "usual";
  }
}

/** @param {HTMLElement} control */
function label(control) {
  return /** @type {HTMLElement} */ (control.parentElement);
}
