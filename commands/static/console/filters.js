// A form of filters, the address that says the same, and the query for the API.

const TYPING_PAUSE_MS = 250;

/**
 * The form's fields are named like the API's filters. The address follows them, so that a link shows what one sees.
 * onChange(query) gets URLSearchParams at once, and after each change.
 */
export function createFilters(form, onChange) {
  let pause;

  const query = () => new URLSearchParams([...new FormData(form)].filter(([, value]) => value.trim() !== ""));

  function fillFrom(params) {
    for (const field of form.elements) {
      if (!field.name) continue;
      const given = params.getAll(field.name);
      if (field.type === "checkbox") field.checked = given.includes(field.value);
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
