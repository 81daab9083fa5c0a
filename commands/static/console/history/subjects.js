// The vehicle or batch that a link has narrowed the list to, and how to widen it again.

import { arrange, button, element } from "../dom.js";
import { findVehicle } from "../vehicle.js";

const SUBJECTS = [
  ["vehicle_id", "Vehicle", vinOf],
  ["batch_id", "Fleet command", async (id) => id.slice(0, 8)],
];

export function showSubjects(form, holder) {
  const given = SUBJECTS.filter(([name]) => form.elements[name].value);
  arrange(
    holder,
    given.map((subject) => chip(form, ...subject)),
  );
  holder.hidden = given.length === 0;
}

function chip(form, name, words, nameOf) {
  const field = form.elements[name];
  const what = element("code", {}, field.value.slice(0, 8));
  nameOf(field.value).then((text) => (what.textContent = text));
  const remove = () => {
    field.value = "";
    form.elements.search.focus();
    form.requestSubmit();
  };
  const cross = element("span", { "aria-hidden": true }, " ×");
  return button([`${words} `, what, cross], remove, { class: "chip", title: "Show those of others too", "data-subject": name });
}

async function vinOf(id) {
  return (await findVehicle(id))?.vin ?? id.slice(0, 8);
}
