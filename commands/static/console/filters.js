// A form of filters, the address that says the same, and the query for the API.

const TYPING_PAUSE_MS = 250;

const isLocal = ({ type }) => type === "datetime-local";

/** What the operator's zone calls a time, as the instant that it is everywhere. */
function instantOf(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toISOString();
}

function localOf(instant) {
  const date = new Date(instant);
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return Number.isNaN(local.getTime()) ? "" : local.toISOString().slice(0, 16);
}

/**
 * The form's fields are named like the API's filters. The address follows them, so that a link shows what one sees,
 * in whatever zone it is opened: times stand in it as instants.
 * onChange(query) gets URLSearchParams at once, and after each change.
 */
export function createFilters(form, onChange) {
  let pause;

  function query() {
    const given = [...new FormData(form)].filter(([, value]) => value.trim() !== "");
    const pairs = given.map(([name, value]) => [name, isLocal(form.elements[name]) ? instantOf(value) : value]);
    return new URLSearchParams(pairs);
  }

  function fillFrom(params) {
    for (const field of form.elements) {
      if (!field.name) continue;
      const given = params.getAll(field.name);
      if (field.type === "checkbox") field.checked = given.includes(field.value);
      else if (isLocal(field)) field.value = localOf(given[0]);
      else field.value = given[0] ?? "";
    }
  }

  function apply() {
    clearTimeout(pause);
    const params = query();
    const search = params.size ? `?${params}` : location.pathname;
    window.history.replaceState(null, "", search);
    onChange(params);
  }

  form.addEventListener("input", ({ target }) => {
    clearTimeout(pause);
    pause = setTimeout(apply, target.type === "search" || target.type === "text" ? TYPING_PAUSE_MS : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  form.addEventListener("reset", () => setTimeout(apply));
  fillFrom(new URLSearchParams(location.search));
  onChange(query());
  return { query };
}
