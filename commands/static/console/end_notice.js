// A notification of the browser when something ends while its page is out of sight. The browser asks the user once, when
// they press the button, which is offered for what takes long.

import { loadValue, saveValue } from "./site.js";

const LONG_MS = 10_000;
const WAS_ASKED = "asked-to-notify";
const permission = () => window.Notification?.permission;

/** Whether the page goes on out of sight. */
export const isNoticeWanted = () => permission() === "granted";

/** Offer the button while something runs for long: `runsMs`, or null once it has ended. */
export function offerNotice(button, runsMs) {
  button.hidden = !(runsMs > LONG_MS) || permission() !== "default" || loadValue(WAS_ASKED);
}

/** Ask the browser for the permission when somebody presses the button. */
export function askOnClick(button) {
  button.addEventListener("click", () => {
    saveValue(WAS_ASKED, true);
    button.hidden = true;
    Notification.requestPermission();
  });
}

/** Tell the end, unless the page is in sight. `tag`: its ID, so that several tabs tell it once. */
export function tellEnd(title, body, tag) {
  if (!document.hidden || !isNoticeWanted()) return;
  try {
    const notice = new Notification(title, { body, tag });
    notice.addEventListener("click", () => window.focus());
  } catch {
    // Browsers of phones have no notifications of a page.
  }
}
