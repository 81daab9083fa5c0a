// A form of filters, and the query that it shows. The query is the page's address.

const TYPING_PAUSE_MS = 250;
const TYPED = new Set(["search", "text", "datetime-local"]);

/**
 * The fields are named like the filters of the API. The address is the query as it is: a value that the form cannot
 * show, such as a part of a second or an unknown status, stays in it until the user changes that field. So a shared
 * link finds the same rows for everybody.
 */
export class FilterForm {
  #form;
  #onChange;
  #query = new URLSearchParams(location.search);
  #shown; // by name: the values that the form shows for the query
  #timer = null;

  /** onChange(query) is called with URLSearchParams at once and after each change. */
  constructor(form, onChange) {
    this.#form = form;
    this.#onChange = onChange;
    this.#query.delete("focus"); // of the page itself
    for (const field of form.elements) if (field.name) showValue(field, this.#query.getAll(field.name));
    this.#shown = this.#values();
    form.addEventListener("input", ({ target }) => this.#applySoon(TYPED.has(target.type) ? TYPING_PAUSE_MS : 0));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
    form.addEventListener("reset", () => {
      this.#query = new URLSearchParams();
      this.#applySoon(0); // once the fields are empty
    });
    onChange(this.query());
  }

  query() {
    return new URLSearchParams(this.#query);
  }

  #applySoon(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#apply(), milliseconds);
  }

  #apply() {
    clearTimeout(this.#timer);
    const values = this.#values();
    for (const [name, texts] of values) if (texts.join() !== this.#shown.get(name).join()) this.#change(name, texts);
    this.#shown = values;
    window.history.replaceState(null, "", this.#query.size ? `?${this.#query}` : location.pathname);
    this.#onChange(this.query());
  }

  #change(name, texts) {
    const isTime = this.#form.elements[name].type === "datetime-local";
    this.#query.delete(name);
    for (const text of texts) this.#query.append(name, isTime ? instantOf(text) : text);
  }

  #values() {
    const data = new FormData(this.#form);
    const names = new Set([...this.#form.elements].map(({ name }) => name).filter(Boolean));
    return new Map([...names].map((name) => [name, data.getAll(name).filter((text) => text.trim() !== "")]));
  }
}

/** Show the last value, as the API does. Checkboxes show all. */
function showValue(field, values) {
  const value = values.at(-1) ?? "";
  if (field.type === "checkbox") field.checked = values.includes(field.value);
  else if (field.type === "datetime-local") field.value = localOf(value);
  else if (field.type === "select-one") selectValue(field, value);
  else field.value = value;
}

/** Select a value; one that is not offered becomes an option. */
export function selectValue(select, value) {
  if (![...select.options].some((option) => option.value === value)) select.add(new Option(value));
  select.value = value;
}

/** A local time of the viewer, as an instant. */
/** The instant of a time of this browser's zone; a text that is none stays. */
export function instantOf(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toISOString();
}

function localOf(instant) {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) return "";
  const part = (number, digits = 2) => String(number).padStart(digits, "0");
  const day = [part(date.getFullYear(), 4), part(date.getMonth() + 1), part(date.getDate())].join("-");
  return `${day}T${[date.getHours(), date.getMinutes(), date.getSeconds()].map((number) => part(number)).join(":")}`;
}
