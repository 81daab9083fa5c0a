// How many vehicles a filter finds. The API's lists do not count, so their pages are gone through.

import { listVehicles, getPage } from "../api.js";

const PAGE_SIZE = 500;

/** {count, disconnected}; it stops counting beyond `most`. */
export async function countMatching(filter, most) {
  let page = await listVehicles({ ...filter, page_size: PAGE_SIZE });
  const found = [...page.results];
  while (page.next && found.length <= most) {
    page = await getPage(page.next);
    found.push(...page.results);
  }
  const disconnected = found.filter(({ connection_status: status }) => status !== "connected").length;
  return { count: found.length, disconnected };
}
