"""The script of the contact sheet: filters, paging, outlines, large view; its state stands in the page's address."""

from __future__ import annotations

__all__ = ["PER_PAGE", "SCRIPT"]

PER_PAGE = 24
"""Pictures of a page of the sheet."""

SCRIPT = r"""
(() => {
"use strict";
const data = JSON.parse(document.getElementById("sheet-data").textContent);
const byId = id => document.getElementById(id);
const grid = byId("sheet"), dialog = byId("view");
const selects = [...document.querySelectorAll("select[data-column]")];
const boxes = [...document.querySelectorAll("input[data-group]")];
const state = {filter: {}, page: 1, show: new Set(data.shown), open: "", bare: false};

const make = (tag, attributes = {}, ...children) => {
  const svg = tag === "svg" || tag === "path" || tag === "title";
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

const matches = (item, except) => data.columns.every(column => {
  const wanted = column === except ? undefined : state.filter[column];
  if (wanted !== undefined) return item.groups[column].includes(wanted);
  return column !== "gate" || column === except || !item.groups.gate.includes("rejected");
});
const found = () => data.items.filter(item => matches(item));
const pages = list => Math.max(1, Math.ceil(list.length / data.per_page));

function read() {
  const said = new URLSearchParams(location.hash.slice(1));
  state.filter = {};
  for (const {dataset: {column}} of selects)
    if ((data.values[column] || []).includes(said.get(column))) state.filter[column] = said.get(column);
  state.page = Math.max(1, parseInt(said.get("page"), 10) || 1);
  state.show = new Set(said.has("show") ? said.get("show").split(",") : data.shown);
  state.open = said.get("open") || "";
}

function write() {
  const said = new URLSearchParams(state.filter);
  if (state.page > 1) said.set("page", state.page);
  const show = data.groups.map(group => group.key).filter(key => state.show.has(key)).join(",");
  if (show !== data.shown.join(",")) said.set("show", show);
  if (state.open) said.set("open", state.open);
  history.replaceState(null, "", "#" + said);
}

function outlined(item, alt, bare) {
  const svg = make("svg", {viewBox: `0 0 ${item.grid[0]} ${item.grid[1]}`, preserveAspectRatio: "none",
    "aria-hidden": "true"});
  for (const [number, name, d] of item.outlines) {
    const group = data.groups[number];
    if (bare || !state.show.has(group.key)) continue;
    const path = make("path", {d, stroke: group.colour, fill: group.colour, "data-of": group.key});
    if (group.dash) path.setAttribute("stroke-dasharray", group.dash);
    path.append(make("title", {}, name || group.label));
    svg.append(path);
  }
  const image = make("img", {src: "data:image/jpeg;base64," + item.image, alt});
  const stack = make("span", {class: "stack"}, image, svg);
  stack.style.setProperty("--ratio", item.size[0] / item.size[1]);
  return make("span", {class: "frame"}, stack);
}

function drawSelects() {
  for (const select of selects) {
    const column = select.dataset.column, counts = new Map();
    for (const item of data.items)
      if (matches(item, column)) for (const name of item.groups[column]) counts.set(name, (counts.get(name) || 0) + 1);
    const options = data.values[column].map(name =>
      make("option", {value: name}, `${name} (${counts.get(name) || 0})`));
    select.replaceChildren(make("option", {value: ""}, column === "gate" ? "accepted" : "all"), ...options);
    select.value = state.filter[column] || "";
  }
  for (const box of boxes) box.checked = state.show.has(box.dataset.group);
}

function draw() {
  const list = found(), last = pages(list);
  state.page = Math.min(state.page, last);
  drawSelects();
  const from = (state.page - 1) * data.per_page, shown = list.slice(from, from + data.per_page);
  grid.replaceChildren(...shown.map(item => {
    const label = make("span", {class: "label"}, item.caption);
    const button = make("button", {type: "button", class: "thumb", "data-key": item.key,
      "data-gate": (item.groups.gate || [""])[0]}, outlined(item, ""), label);
    button.setAttribute("aria-label", `${item.caption}. Open the large view`);
    button.addEventListener("click", () => { state.open = item.key; drawView(); write(); });
    return button;
  }));
  byId("status").textContent = list.length === 0 ? "No image matches." :
    `Images ${from + 1} to ${from + shown.length} of ${list.length}` +
    (list.length < data.items.length ? ` (${data.items.length} on this page)` : "");
  byId("pages").textContent = `${state.page} of ${last}`;
  byId("previous").disabled = state.page === 1;
  byId("next").disabled = state.page === last;
  drawView();
}

function part(heading, ...children) {
  return children.length ? [make("h3", {}, heading), ...children] : [];
}

function drawView() {
  const item = data.items.find(one => one.key === state.open);
  if (!item) {
    state.open = "";
    if (dialog.open) dialog.close();
    return;
  }
  byId("view-title").textContent = item.title;
  byId("view-picture").replaceChildren(outlined(item, item.caption, state.bare));
  byId("view-masks").setAttribute("aria-pressed", String(!state.bare));
  byId("view-masks").hidden = item.outlines.length === 0;
  const facts = make("dl", {});
  for (const [name, value] of item.facts) facts.append(make("dt", {}, name), make("dd", {}, value));
  const list = lines => make("ul", {}, ...lines.map(line => make("li", {}, line)));
  const verdicts = item.verdicts.map(([name, outcome, reason]) =>
    make("li", {}, make("strong", {class: outcome}, outcome), ` ${name}: ${reason}`));
  byId("view-words").replaceChildren(make("p", {class: "soft"}, item.caption),
    ...part("Findings", ...(item.findings.length ? [list(item.findings)] : [make("p", {class: "soft"}, "none")])),
    ...part("Report", ...(item.report ? [make("p", {class: "text"}, item.report)] : [])),
    ...part("Prompt", ...(item.prompt ? [make("p", {class: "text"}, item.prompt)] : [])),
    ...part("Verdicts", ...(verdicts.length ? [make("ul", {}, ...verdicts)] : [])),
    ...part("Record", facts));
  if (!dialog.open) dialog.showModal();
}

function step(by) {
  const list = found(), at = list.findIndex(item => item.key === state.open) + by;
  if (!list[at]) return;
  state.open = list[at].key;
  state.page = Math.floor(at / data.per_page) + 1;
  draw();
  write();
}

function turn(by) {
  state.page = Math.min(Math.max(1, state.page + by), pages(found()));
  draw();
  write();
}

for (const select of selects) select.addEventListener("change", () => {
  if (select.value) state.filter[select.dataset.column] = select.value;
  else delete state.filter[select.dataset.column];
  state.page = 1;
  draw();
  write();
});
for (const box of boxes) box.addEventListener("change", () => {
  state.show[box.checked ? "add" : "delete"](box.dataset.group);
  draw();
  write();
});
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
byId("view-previous").addEventListener("click", () => step(-1));
byId("view-next").addEventListener("click", () => step(1));
byId("view-masks").addEventListener("click", () => { state.bare = !state.bare; drawView(); });
byId("view-close").addEventListener("click", () => dialog.close());
byId("reset").addEventListener("click", () => { state.filter = {}; state.page = 1; draw(); write(); });
dialog.addEventListener("close", () => {
  const thumb = grid.querySelector(`[data-key="${CSS.escape(state.open)}"]`);
  state.open = "";
  write();
  if (thumb) thumb.focus();
});
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", event => {
  const by = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (event.key === "m") byId("view-masks").click();
  if (by) { event.preventDefault(); step(by); }
});
grid.addEventListener("keydown", event => {
  const thumbs = [...grid.children], at = thumbs.indexOf(document.activeElement);
  const wide = thumbs.filter(thumb => thumb.offsetTop === thumbs[0].offsetTop).length;
  const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide}[event.key];
  if (by && at >= 0 && thumbs[at + by]) { event.preventDefault(); thumbs[at + by].focus(); }
});
for (const link of document.querySelectorAll("button[data-open]")) link.addEventListener("click", () => {
  state.open = link.dataset.open;
  draw();
  write();
});
addEventListener("hashchange", () => { read(); draw(); });
read();
draw();
})();
"""
