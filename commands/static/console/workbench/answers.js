// The log of one command: a line for each step, a card for each answer.

import { decoded } from "../decoders.js";
import { element, plain, time } from "../dom.js";
import { explain, isToldByServer } from "../words.js";

const END_PX = 48;
const AT_ONCE = 12; // new lines in one picture: a thousand answers must not hold up a click
const AT_ONCE_UNSEEN = 200; // where no picture is made, in the background
const UNSEEN_AFTER_MS = 1000;
const TOGETHER = 50; // lines in one list: a browser looks after each list that is out of sight, in every picture
const FEW = 5;

/**
 * log      scrolls, and holds the list
 * onDrawn  after each drawing: how many answers count, and the lines that are new, as text
 *
 * show(frame) adds one event; clear() starts over.
 */
export function createAnswers(log, onDrawn) {
  const list = log.querySelector(".entries");
  const end = stickToEnd(log, list);
  const waiting = [];
  let unschedule = null;
  let startedOnce = false;
  let counting = 0;

  function draw(most) {
    const appears = waiting.length <= FEW;
    const lines = waiting.splice(0, most).map((frame) => append(frame, appears));
    unschedule = waiting.length ? schedule(draw) : null;
    onDrawn(counting, lines.map(spoken));
  }

  function append(frame, appears) {
    if (startedOnce && frame.status === "pending") giveBack();
    if (frame.event === "response") counting += 1;
    const line = entry(frame, startedOnce);
    line.classList.toggle("appears", appears);
    startedOnce ||= frame.status === "in_progress";
    place(list).append(line);
    return line;
  }

  function giveBack() {
    supersede(list);
    counting = 0;
  }

  return {
    clear() {
      unschedule?.();
      unschedule = null;
      waiting.length = counting = 0;
      startedOnce = false;
      end.stick();
      list.replaceChildren();
    },
    show(frame) {
      waiting.push(frame);
      unschedule ??= schedule(draw);
    },
  };
}

/** Draws with the next picture, or after a while without one. Returns what calls it off. */
function schedule(draw) {
  const cancel = () => {
    cancelAnimationFrame(request);
    clearTimeout(timer);
  };
  const drawNow = (most) => {
    cancel();
    draw(most);
  };
  const request = requestAnimationFrame(() => drawNow(AT_ONCE));
  const timer = setTimeout(() => drawNow(AT_ONCE_UNSEEN), UNSEEN_AFTER_MS);
  return cancel;
}

/** Keeps the end of `log` in view until somebody scrolls up. */
function stickToEnd(log, list) {
  let sticking = true;
  let lastTop = 0;
  log.addEventListener("scroll", () => {
    const nearEnd = log.scrollHeight - log.scrollTop - log.clientHeight < END_PX;
    // Only going up leaves the end: answers may have come since the page itself scrolled there.
    sticking = nearEnd || (sticking && log.scrollTop >= lastTop);
    lastTop = log.scrollTop;
  });
  // After the layout, where the height is known: asking for it per answer would lay out everything again.
  new ResizeObserver(() => {
    if (sticking) log.scrollTop = log.scrollHeight;
  }).observe(list);
  return { stick: () => (sticking = true) };
}

/** A line as it is read aloud. */
function spoken(line) {
  const head = line.querySelector(".decoded-head, .entry-body p");
  return head ? [...head.childNodes].map((node) => node.textContent.trim()).join(" ") : "An answer as JSON.";
}

/** Where the next line goes. Only a full list has the height of its own that lets a browser leave it out of the layout. */
function place(list) {
  const last = list.lastElementChild;
  if (last && last.childElementCount < TOGETHER) return last;
  last?.classList.add("full");
  return list.appendChild(element("ol", { class: "lines" }));
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
  const text = plain(message ?? "");
  const [what, toDo] = explain(code, text);
  const detail = !isToldByServer(code) && text;
  return [
    element("p", {}, element("strong", {}, what), " ", toDo),
    element("p", { class: "muted" }, element("code", {}, plain(code)), detail ? ` ${detail}` : null),
  ];
}
