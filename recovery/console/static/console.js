// What the pages gain with a script: times in the reader's zone, live figures, and keys. All acts work without it.
"use strict";

const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "always", style: "short" });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function showTimes(root) {
  for (const each of root.querySelectorAll("time[data-time]")) {
    const at = new Date(each.dateTime);
    if (each.dataset.time === "at") {
      each.textContent = absolute.format(at);
      continue;
    }
    const seconds = (at - Date.now()) / 1000;
    const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) || ["second", 1];
    each.textContent = relative.format(Math.round(seconds / size), unit);
  }
}

// Live parts: the server sends the HTML of each part whose content has changed, under the part's id. What cannot be
// followed any more says so: old figures look like those of now.
function follow(address) {
  const source = new EventSource(address);
  const showStale = (stale) => { document.getElementById("stale").hidden = !stale; };
  source.addEventListener("open", () => showStale(false));
  source.addEventListener("fresh", () => showStale(false));
  source.addEventListener("stale", () => showStale(true));
  source.addEventListener("error", () => showStale(true));
  source.addEventListener("part", (event) => {
    const { id, html } = JSON.parse(event.data);
    const part = document.getElementById(id);
    if (!part || part.contains(document.activeElement)) return;
    const parsed = new DOMParser().parseFromString(html, "text/html");
    showTimes(parsed.body);
    part.replaceChildren(...parsed.body.childNodes);
  });
  addEventListener("pagehide", () => source.close());
}

// Boxes that choose rows: one for all of the page, and the buttons that need a choice.
function chooseRows(form) {
  const all = form.querySelector("[data-all]");
  const each = [...form.querySelectorAll("input[name=id]")];
  const changed = () => {
    const chosen = each.filter((box) => box.checked).length;
    if (all) {
      all.checked = chosen > 0 && chosen === each.length;
      all.indeterminate = chosen > 0 && chosen < each.length;
    }
    for (const button of form.querySelectorAll("[data-chosen]")) button.disabled = !chosen;
  };
  if (all) {
    all.closest("[hidden]")?.removeAttribute("hidden");
    all.addEventListener("change", () => {
      for (const box of each) box.checked = all.checked;
      changed();
    });
  }
  for (const box of each) box.addEventListener("change", changed);
  changed();
}

// Keys: / goes to the first field of a page; g and a letter go to another page, as the tooltips of the navigation say.
const places = [...document.querySelectorAll("header nav a")];
let went = 0;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (event.key === "/") {
    const field = document.querySelector("main input:not([type=hidden]), main select");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  } else if (event.key === "g") {
    went = event.timeStamp;
  } else if (event.timeStamp - went < 1500) {
    const place = places.find((each) => each.dataset.key === event.key);
    if (place) place.click();
    went = 0;
  }
});

// A double click posts once. What is downloaded leaves the page as it is: it can be asked for again.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.posted) event.preventDefault();
  form.dataset.posted = "yes";
  setTimeout(() => delete form.dataset.posted, 2000);
});

document.querySelector("header nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
showTimes(document);
setInterval(() => showTimes(document), 30000);
for (const form of document.querySelectorAll("form[data-rows]")) chooseRows(form);
for (const select of document.querySelectorAll("select[data-submit]")) select.addEventListener("change", () => select.form.submit());
const live = document.querySelector("[data-live]");
if (live) follow(live.dataset.live);
