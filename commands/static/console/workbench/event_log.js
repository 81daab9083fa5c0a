// The log of one command: a line for each change of its status, a card for each response.

import { element } from "../dom.js";
import { date } from "../format.js";
import { eventLine, lineText } from "./event_line.js";

const END_PX = 48;
const FRAME_MS = 6; // of drawing in each frame: a thousand responses must not hold up a click
const BACKGROUND_MS = 50; // where no frame is drawn
const BACKGROUND_AFTER_MS = 1000;
const LINES_PER_LIST = 10; // all are laid out when one comes near; in every frame a browser looks after each list
const FEW = 5;

export class EventLog {
  vehicle = null; // the ID of the one whose responses are shown
  #log;
  #list;
  #onDrawn;
  #waiting = [];
  #cancelDrawing = null;
  #hasStarted = false;
  #day = null; // of the last line
  #responses = 0;
  #isAtEnd = true;
  #lastTop = 0;

  /** onDrawn(responses, texts) is called after each drawing: how many responses count, and the new lines as text. */
  constructor(log, onDrawn) {
    this.#log = log;
    this.#list = log.querySelector(".entries");
    this.#onDrawn = onDrawn;
    log.addEventListener("scroll", () => this.#scrolled());
    // After the layout the height is known. Reading it for each response would lay everything out again.
    new ResizeObserver(() => {
      if (this.#isAtEnd) log.scrollTop = log.scrollHeight;
    }).observe(this.#list);
  }

  add(event) {
    this.#waiting.push(event);
    this.#cancelDrawing ??= this.#schedule();
  }

  /** Keep the end in view while lines are added, until the user scrolls up; otherwise stay where the user is. */
  stickToEnd(isAtEnd) {
    this.#isAtEnd = isAtEnd;
  }

  clear() {
    this.#cancelDrawing?.();
    this.#cancelDrawing = null;
    this.#waiting.length = this.#responses = 0;
    this.#hasStarted = false;
    this.#day = null;
    this.#log.scrollTop = this.#lastTop = 0;
    this.#list.replaceChildren();
  }

  /** Draw with the next frame, or after a while without one. Return a function that cancels the drawing. */
  #schedule() {
    const cancel = () => {
      cancelAnimationFrame(request);
      clearTimeout(timer);
    };
    const draw = (milliseconds) => {
      cancel();
      this.#draw(milliseconds);
    };
    const request = requestAnimationFrame(() => draw(FRAME_MS));
    const timer = setTimeout(() => draw(BACKGROUND_MS), BACKGROUND_AFTER_MS);
    return cancel;
  }

  #draw(milliseconds) {
    const end = performance.now() + milliseconds;
    const isAnimated = this.#waiting.length <= FEW;
    const lines = [];
    do lines.push(this.#append(this.#waiting[lines.length], isAnimated));
    while (lines.length < this.#waiting.length && performance.now() < end);
    this.#waiting.splice(0, lines.length);
    this.#cancelDrawing = this.#waiting.length ? this.#schedule() : null;
    this.#onDrawn(this.#responses, lines.map(lineText));
  }

  #append(event, isAnimated) {
    if (this.#hasStarted && event.status === "pending") this.#discountResponses();
    if (event.event === "response") this.#responses += 1;
    const day = date(event.timestamp);
    const line = eventLine(event, { hasStarted: this.#hasStarted, hasDate: day !== this.#day, vehicle: this.vehicle });
    this.#day = day;
    line.classList.toggle("appears", isAnimated);
    this.#hasStarted ||= event.status === "in_progress";
    this.#appendToList(line);
    return line;
  }

  /** The responses so far do not count, because the command was released and starts again. */
  #discountResponses() {
    this.#responses = 0;
    for (const response of this.#list.querySelectorAll(".answer:not(.superseded)")) {
      response.classList.add("superseded");
      response.querySelector(".entry-meta").append(element("span", { class: "tag" }, "does not count"));
    }
  }

  /** A full list has a fixed height, so a browser can leave it out of the layout, even of that for this frame. */
  #appendToList(line) {
    let list = this.#list.lastElementChild;
    if (!list || list.matches(".full")) list = this.#list.appendChild(element("ol", { class: "lines" }));
    list.append(line);
    list.classList.toggle("full", list.childElementCount === LINES_PER_LIST);
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    const isNearEnd = scrollHeight - scrollTop - clientHeight < END_PX;
    // Only a scroll upwards leaves the end: responses may have arrived since the page itself scrolled down. Only one
    // downwards reaches it: in a log that was just emptied every place is near the end.
    if (scrollTop > this.#lastTop && isNearEnd) this.#isAtEnd = true;
    else if (scrollTop < this.#lastTop && !isNearEnd) this.#isAtEnd = false;
    this.#lastTop = scrollTop;
  }
}
