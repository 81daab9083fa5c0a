// The log of one command: a line for each step, a card for each answer.

import { decoded } from "../decoders.js";
import { arrange, element, plain, time } from "../dom.js";
import { explain } from "../words.js";

const END_PX = 48;

/** show(frame) appends one event to the list in `log`, which scrolls; clear() starts over. */
export function createAnswers(log) {
  const list = log.querySelector("ol");
  const end = stickToEnd(log);
  let startedOnce = false;
  return {
    clear() {
      startedOnce = false;
      end.stick();
      arrange(list, []);
    },
    show(frame) {
      const givenBack = startedOnce && frame.status === "pending";
      if (givenBack) supersede(list);
      list.append(entry(frame, startedOnce));
      startedOnce ||= frame.status === "in_progress";
      end.keep();
    },
  };
}

/** Keeps the end of `log` in view until somebody scrolls up. */
function stickToEnd(log) {
  let sticking = true;
  let lastTop = 0;
  let request = null;
  log.addEventListener("scroll", () => {
    const nearEnd = log.scrollHeight - log.scrollTop - log.clientHeight < END_PX;
    // Only going up leaves the end: answers may have come since the page itself scrolled there.
    sticking = nearEnd || (sticking && log.scrollTop >= lastTop);
    lastTop = log.scrollTop;
  });
  // Once per picture, not per answer: asking for a height lays the whole log out again.
  const scroll = () => {
    request = null;
    if (sticking) log.scrollTop = log.scrollHeight;
  };
  return {
    stick: () => (sticking = true),
    keep: () => (request ??= requestAnimationFrame(scroll)),
  };
}

function supersede(list) {
  for (const answer of list.querySelectorAll(".answer:not(.superseded)")) {
    answer.classList.add("superseded");
    answer.querySelector(".entry-meta").append(element("span", { class: "tag" }, "does not count"));
  }
}

function entry(frame, startedOnce) {
  if (frame.event === "response") return line(frame, "answer", decoded(frame.response));
  if (frame.event === "error") return line(frame, "failure", failure(frame));
  return line(frame, `step ${plain(frame.status)}`, step(frame, startedOnce));
}

function line(frame, kind, content) {
  const meta = element(
    "p",
    { class: "entry-meta" },
    element("span", { class: "sequence", title: "Sequence number" }, `#${frame.sequence_number}`),
    time(frame.timestamp, { precise: true }),
    frame.is_final && element("span", { class: "tag" }, "last answer"),
  );
  return element("li", { class: `entry ${kind}` }, meta, element("div", { class: "entry-body" }, content));
}

function step({ status }, startedOnce) {
  const [what, meaning] = stepWords(status, startedOnce);
  return element("p", {}, element("strong", {}, what), " ", element("span", { class: "muted" }, meaning));
}

function stepWords(status, startedOnce) {
  switch (status) {
    case "pending":
      return startedOnce
        ? ["Given back.", "The worker that carried it out is gone. It starts again; the answers above do not count."]
        : ["Submitted.", "It starts when its turn comes and the vehicle is connected."];
    case "in_progress":
      return startedOnce
        ? ["Started again.", "Only the answers from here on count."]
        : ["Started.", "The vehicle is carrying it out."];
    case "completed":
      return ["Completed.", "The vehicle has answered everything."];
    case "cancelled":
      return startedOnce
        ? ["Cancelled while it ran.", "The vehicle may have carried out a part of it."]
        : ["Cancelled.", "Nothing was sent to the vehicle."];
    default:
      return [plain(status), ""];
  }
}

function failure({ error_code: code, error_message: message }) {
  const [what, toDo] = explain(code);
  return [
    element("p", {}, element("strong", {}, what), " ", toDo),
    element("p", { class: "muted" }, element("code", {}, plain(code)), message ? ` ${plain(message)}` : null),
  ];
}
