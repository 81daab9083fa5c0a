// Rows of a list that are chosen by their checkboxes.

import { element } from "./dom.js";

/**
 * rows      holds the rows, each with what `box` made
 * all       the checkbox that chooses all that are shown; null where nothing can be chosen
 * onChange  gets the ids of the chosen, after each change
 */
export function createChoice({ rows, all, onChange }) {
  const chosen = new Set();
  const boxes = () => [...rows.querySelectorAll("input[data-choose]:not(:disabled)")];

  function choose({ value: id, checked }) {
    if (checked) chosen.add(id);
    else chosen.delete(id);
  }

  function chooseAll(checked) {
    for (const box of boxes()) choose(Object.assign(box, { checked }));
  }

  /** The checkboxes say what is chosen, also those that have just come into view. */
  function update() {
    if (!all) return;
    for (const box of boxes()) box.checked = chosen.has(box.value);
    const count = boxes().filter(({ checked }) => checked).length;
    all.checked = count > 0 && count === boxes().length;
    all.indeterminate = count > 0 && !all.checked;
    onChange([...chosen]);
  }

  rows.addEventListener("change", ({ target }) => {
    if (!target.matches("[data-choose]")) return;
    choose(target);
    update();
  });
  all?.addEventListener("change", () => {
    chooseAll(all.checked);
    update();
  });

  return {
    update,
    has: (id) => chosen.has(id),
    ids: () => [...chosen],
    box: (id, label) => element("input", { type: "checkbox", "data-choose": true, value: id, "aria-label": label }),
    /** What is not among these ids is chosen no longer. */
    keepOnly(ids) {
      for (const id of chosen) if (!ids.has(id)) chosen.delete(id);
      update();
    },
    clear() {
      chosen.clear();
      update();
    },
  };
}
