// Times, durations and numbers as text: in English like the page, with the viewer's time zone.

import { element } from "./dom.js";

const LOCALE = "en-GB";
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short" };
const FORMATS = {
  short: formatter({ ...DAY, ...CLOCK }),
  year: formatter({ ...DAY, year: "numeric", ...CLOCK }),
  full: formatter({ ...DAY, year: "numeric", ...CLOCK, timeZoneName: "short" }),
  clock: formatter(CLOCK),
  minute: formatter({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
  dayAndMinute: formatter({ ...DAY, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
  precise: formatter({ ...CLOCK, fractionalSecondDigits: 3 }),
};
const DATE = formatter({ ...DAY, year: "numeric" });
const LONG_DATE = formatter({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const NUMBER = new Intl.NumberFormat(LOCALE);
const PLAIN = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 7 });
const TENTHS = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });

/** The short name of the viewer's time zone, for example "CET". */
export const zoneName = () => FORMATS.full.formatToParts().find(({ type }) => type === "timeZoneName").value;

export const date = (iso) => DATE.format(new Date(iso));
export const longDate = (iso) => LONG_DATE.format(new Date(iso));
/** Hours and minutes. */
export const clock = (iso) => FORMATS.minute.format(new Date(iso));
export const dayAndClock = (iso) => FORMATS.dayAndMinute.format(new Date(iso));

export const whole = (number) => NUMBER.format(number);
/** A measured number, without digits that only its calculation has added. */
export const plain = (number) => PLAIN.format(number);
export const tenths = (number) => TENTHS.format(number);

/** "1 vehicle", "2,000 vehicles" */
export const counted = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

/**
 * An instant in the viewer's time zone; the title has all of it, with the zone.
 * style  "short" (with the year if it is another one), "full", "clock" or "precise"
 */
export function time(iso, style = "short") {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return element("span", {}, "–");
  const isOtherYear = style === "short" && at.getFullYear() !== new Date().getFullYear();
  const text = FORMATS[isOtherYear ? "year" : style].format(at);
  return element("time", { datetime: iso, title: `${FORMATS.full.format(at)} (${iso})` }, text);
}

export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${twoDigits(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
}

const twoDigits = (number) => String(Math.floor(number)).padStart(2, "0");

function formatter(options) {
  return new Intl.DateTimeFormat(LOCALE, options);
}
