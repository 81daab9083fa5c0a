// The vehicle or the batch that a link has narrowed the list to, each with a way to remove the filter.

import { button, element, reconcile } from "../dom.js";
import { findVehicle } from "../known_vehicles.js";

const SUBJECTS = [
  ["vehicle_id", "Vehicle", vinOf],
  ["batch_id", "Batch", async (id) => shortened(id)],
];

export function showFilterChips(form, holder) {
  const given = SUBJECTS.filter(([name]) => form.elements[name].value);
  reconcile(
    holder,
    given.map((subject) => chip(form, ...subject)),
  );
  holder.hidden = given.length === 0;
}

function chip(form, name, label, nameOf) {
  const field = form.elements[name];
  const subject = element("code", {}, shortened(field.value));
  nameOf(field.value).then((text) => subject.replaceChildren(text));
  const remove = () => {
    field.value = "";
    form.elements.search.focus();
    form.requestSubmit();
  };
  const cross = element("span", { "aria-hidden": true }, " ×");
  const title = "Remove this filter";
  return button([`${label} `, subject, cross], remove, { class: "chip", title, "data-subject": name });
}

const shortened = (id) => id.slice(0, 8);

async function vinOf(id) {
  return (await findVehicle(id))?.vin ?? shortened(id);
}
