// Elements and messages of the page. Text goes in as text nodes only, so that nothing a vehicle sends can become markup.

export const byId = (id) => document.getElementById(id);

/** Create an element. An attribute that is true is set empty; one that is false, null or undefined is left out. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...present(children));
  return node;
}

export function button(label, onClick, attributes = {}) {
  const node = element("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", onClick);
  return node;
}

export function badge(kind, label, attributes = {}) {
  return element("span", { class: "badge", "data-kind": kind, ...attributes }, label);
}

/** A cell of a table. On a phone `label` stands before it. */
export const cell = (label, ...children) => element("td", { "data-label": label || null }, ...children);

/** Make `parent` hold exactly `nodes`. Nodes already in place stay untouched, because a moved node loses the focus. */
export function reconcile(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

/** Give `parent` these children. If it has equal ones already, nothing changes: selection and animations go on. */
export function update(parent, ...children) {
  const fresh = parent.cloneNode(false);
  fresh.append(...present(children));
  if (!fresh.isEqualNode(parent)) keepFocus(parent, () => parent.replaceChildren(...fresh.childNodes));
}

const present = (children) => children.flat(3).filter((child) => child != null && child !== false && child !== "");

/** After `change`, focus the link or button equal to the one that had the focus; else the one now in its place. */
function keepFocus(parent, change) {
  const links = () => [...parent.querySelectorAll("a, button")];
  const focused = document.activeElement;
  const place = links().indexOf(focused);
  change();
  if (place >= 0) (links().find((link) => link.isEqualNode(focused)) ?? links()[place])?.focus({ preventScroll: true });
}

/** Any value that a vehicle sent, as one line of text. */
export function asText(value) {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

// --- Messages

/** Show `content`, texts and nodes, in `node`. Without content the node is hidden. */
export function showMessage(node, content, { isError } = {}) {
  if (isError !== undefined) node.classList.toggle("error", isError);
  update(node, content);
  node.hidden = !node.textContent;
}

/** Show what is wrong with `input` in the node beside it. An empty text marks the input as right. */
export function showFieldError(input, node, text) {
  showMessage(node, text);
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Show each line as a paragraph. */
export function showLines(node, lines, options) {
  showMessage(
    node,
    lines.map((line) => element("p", {}, line)),
    options,
  );
}
