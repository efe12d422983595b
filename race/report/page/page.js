// Fills the page from its data. Text goes in as text, never as markup: what a server or a user wrote is data here.

const race = JSON.parse(document.getElementById("race").textContent);
const byId = (id) => document.getElementById(id);

const titleOf = (of, outcome) => of.outcomes.find(({ key }) => key === outcome).title;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function table(into, head, rows) {
  into.append(
    element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col", textContent: text })))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map(({ text, look = "" }) => element("td", { textContent: text, className: look }))))));
}

// Outcomes that occur, and what is drawn besides; in the order of the legend.
function drawnParts() {
  const shown = race.strategies.flatMap((strategy) => strategy.attempts);
  const parts = race.outcomes.filter(({ key }) => race.strategies.some((strategy) => strategy.latency.counts[key]));
  if (shown.some((attempt) => attempt.held > attempt.from)) parts.unshift({ key: "waiting", title: "waiting for a unit" });
  if (shown.some((attempt) => attempt.excess)) parts.push({ key: "excess", title: race.limit ? `double, or over ${race.limit.name}` : "double redemption" });
  return parts;
}

function legend(parts) {
  byId("legend").replaceChildren(...parts.map(({ key, title }) => {
    const sample = element("canvas", { width: 36, height: 16, ariaHidden: "true" });
    const pen = sample.getContext("2d");
    pen.fillStyle = fill(key);
    pen.fillRect(0, 0, 36, 16);
    return element("li", {}, sample, title);
  }));
}

// Made when it is opened: thousands of cells that nobody may want to see.
function attemptTable(strategy) {
  const details = element("details", {}, element("summary", { textContent: "the same as a table" }));
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const made = element("table");
    table(made, ["where", "user", "from", "took", "outcome", "too much", "repeated", "error"], strategy.attempts.map((attempt) => [
      { text: strategy.rows[attempt.row] }, { text: attempt.user }, { text: milliseconds(attempt.from) }, { text: milliseconds(attempt.to - attempt.from) },
      { text: titleOf(race, attempt.outcome) }, { text: attempt.excess || "", look: "bad" }, { text: attempt.retries || "" }, { text: attempt.error || "", look: "error" },
    ]));
    details.append(element("div", { className: "wide" }, made));
  });
  return details;
}

function panel(strategy, note, height, label) {
  const canvas = element("canvas", { role: "img", ariaLabel: label });
  const holder = element("div", { className: "chart" }, canvas);
  if (height) holder.style.height = `${height}px`;
  return {
    canvas,
    article: element("article", {}, element("div", { className: "title" },
      element("h3", {}, strategy.name, " ", element("span", { className: strategy.look, textContent: strategy.verdict })),
      element("span", { className: "method", textContent: strategy.method })), element("p", { textContent: note }), holder),
  };
}

// All charts that are drawn now, to be drawn again in other colours or on another scale.
let charts = [];

function timelines(parts) {
  const width = (strategy) => Math.max(...strategy.attempts.map(({ to }) => to)) - strategy.since;
  const drawable = race.strategies.filter((strategy) => strategy.attempts.length > 0);
  const span = byId("one-scale").checked ? Math.max(...drawable.map(width)) : 0;
  byId("timelines").replaceChildren(...race.strategies.map((strategy) => {
    const height = strategy.rows.length * (strategy.rows.length > 32 ? 13 : strategy.rows.length > 24 ? 16 : 20) + 60;
    const { canvas, article } = panel(strategy, strategy.shown, strategy.attempts.length ? height : 1, `Timeline of ${strategy.name}: ${strategy.shown}`);
    if (strategy.attempts.length) {
      charts.push(() => drawTimeline(canvas, race, strategy, parts, span));
      article.append(attemptTable(strategy));
    }
    return article;
  }));
}

function latencies(parts) {
  byId("latencies").replaceChildren(...race.strategies.map((strategy) => {
    const words = Object.entries(strategy.latency.percentiles_ms).map(([name, ms]) => `${name} ${milliseconds(ms)}`).join(", ");
    const { canvas, article } = panel({ name: strategy.name, method: words, verdict: "", look: "" }, "", 0, `Latencies of ${strategy.name}: ${words}`);
    if (race.latency_edges_ms.length) charts.push(() => drawLatency(canvas, race, strategy, parts.filter(({ key }) => key in strategy.latency.counts)));
    return article;
  }));
}

function sales() {
  if (race.limit === null || !race.strategies.some((strategy) => strategy.sales.length)) return;
  byId("sales-section").hidden = false;
  const title = race.limit.sold[0].toUpperCase() + race.limit.sold.slice(1);
  byId("sales-title").textContent = title;
  const canvas = element("canvas", { role: "img", ariaLabel: `${title} over time, a line for each strategy` });
  byId("sales").replaceChildren(canvas);
  charts.push(() => drawSales(canvas, race));
}

let drawn = [];

function draw() {
  drawn.forEach((each) => each.destroy());
  charts = [];
  const parts = drawnParts();
  legend(parts);
  timelines(parts);
  sales();
  latencies(parts);
  drawn = charts.map((make) => make());
  document.documentElement.dataset.charts = drawn.length;
}

document.title = `coupon-race: ${race.scenario}`;
byId("scenario").textContent = race.scenario;
byId("scene").textContent = race.scene;
byId("server").textContent = race.server;
byId("conclusions").append(...race.conclusions.map((textContent) => element("li", { textContent })));
table(byId("summary"), race.summary.head, race.summary.rows);
byId("about-timelines").textContent = race.scenario === "double-click"
  ? "A bar is one request, from its start to its answer: its length is how long its user waited. Requests of one round were let go at once, by one user."
  : "A bar is one buyer, from the first word to the answer: its length is how long they waited. Each client serves one buyer after the other; the number is the buyer's."
    + (race.scenario === "checkout" ? " The pale part is the wait for a unit, the rest the time to think and to confirm." : "");
byId("colophon").textContent = `coupon-race ${race.version}, ${race.started_at}, --seed ${race.seed}. Charts: Chart.js, MIT license.`;
byId("one-scale").addEventListener("change", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
