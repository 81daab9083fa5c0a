// Actions of a page that have a single key: links and buttons of its main part that name it in aria-keyshortcuts.

const SINGLE = /^[a-z]$/;

/** The actions that can be used now: [{key, label, act}…] */
export function pageActions() {
  const nodes = [...document.querySelectorAll("main :is(a, button)[aria-keyshortcuts]")];
  return nodes.filter((node) => SINGLE.test(keyOf(node)) && node.checkVisibility()).map(action);
}

const keyOf = (node) => node.getAttribute("aria-keyshortcuts");

const action = (node) => ({
  key: keyOf(node),
  label: node.textContent.trim(),
  act: () => node.click(),
});
