// The list of campaigns.

import { listCampaigns } from "../api.js";
import { countsBar } from "../batches/counts.js";
import { parameters } from "../command.js";
import { byId, element } from "../dom.js";
import { FilterForm } from "../filters.js";
import { time, whole } from "../format.js";
import { PagedList } from "../paged_list.js";
import { asBatch, campaignAddress, countsText, stateBadge } from "./state.js";

const list = new PagedList({
  root: byId("campaigns"),
  key: ({ campaign_id: id }) => id,
  row: (campaign, node = newRow()) => fillRow(node, campaign),
  emptyText: () => "No campaigns.",
  refreshMs: 5_000,
});

new FilterForm(byId("campaign-filters"), (query) => list.show(() => listCampaigns(query)));

function fillRow(node, campaign) {
  const [when, command, count, results, state, submitter] = node.children;
  when.replaceChildren(time(campaign.created_at));
  if (!command.hasChildNodes()) command.append(link(campaign), " ", ...parameters(campaign.command_params));
  count.textContent = whole(campaign.vehicle_count);
  results.querySelector(".counts-text").textContent = countsText(campaign.progress);
  countsBar(asBatch(campaign.progress), results.querySelector(".counts-bar"));
  state.replaceChildren(stateBadge(campaign));
  submitter.textContent = campaign.submitted_by;
  return node;
}

function newRow() {
  const bar = element("div", { class: "counts-bar", "aria-hidden": "true" });
  return element(
    "tr",
    {},
    element("td", { class: "nowrap muted" }),
    element("td", { class: "batch-command" }),
    element("td", { class: "number", "data-label": "Vehicles" }),
    element("td", { class: "batch-counts" }, bar, element("span", { class: "counts-text" })),
    element("td", { class: "nowrap" }),
    element("td", { "data-label": "By" }),
  );
}

const link = ({ campaign_id: id, command_name: name }) => element("a", { href: campaignAddress(id) }, name);
