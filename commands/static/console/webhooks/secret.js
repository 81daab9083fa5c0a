// The secret of a webhook, which is shown once: after it was added, or got a new secret.

import { byId } from "../dom.js";

const panel = byId("secret");
const text = byId("secret-text");

export function showSecret({ secret, url }) {
  byId("secret-about").textContent =
    `It signs what is sent to ${url}, and is shown this once. Store it in the receiver.`;
  text.textContent = secret;
  panel.hidden = false;
  panel.focus();
}

byId("secret-copy").addEventListener("click", async ({ currentTarget: copy }) => {
  await navigator.clipboard?.writeText(text.textContent).then(() => {
    copy.textContent = "Copied";
  });
});
byId("secret-hide").addEventListener("click", () => {
  text.textContent = "";
  panel.hidden = true;
  byId("webhooks").focus();
});
