"use strict";
// The charts, drawn by Chart.js. Nothing here knows where in the page they stand.

Chart.defaults.font.family = "system-ui, sans-serif";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

// What tells outcomes apart besides their colour.
const HATCHES = {
  rolled_back: [[0, 8, 8, 0]], walked_away: [[0, 8, 8, 0]], expired: [[0, 0, 8, 8]], unknown: [[0, 4, 8, 4]],
  failed: [[0, 0, 8, 8], [0, 8, 8, 0]], excess: [[0, 0, 8, 8]],
};

function fill(outcome) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  pen.fillStyle = colour(outcome);
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = colour("panel");
  pen.lineWidth = 1.5;
  for (const [x1, y1, x2, y2] of HATCHES[outcome] || []) {
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    pen.stroke();
  }
  return pen.createPattern(tile, "repeat");
}

const milliseconds = (ms) =>
  ms < 0.9995 ? `${Math.round(ms * 1000)} us` : ms < 999.5 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1000).toPrecision(3))} s`;

const plain = (titles) => ({ ticks: { color: colour("ink"), includeBounds: false }, grid: { color: colour("line") }, border: { color: colour("line") }, title: { display: Boolean(titles), text: titles, color: colour("faint") } });

function chart(canvas, config) {
  config.options = { responsive: true, maintainAspectRatio: false, animation: false, ...config.options };
  return new Chart(canvas, config);
}

// Text into each bar that has room for it; what is too much is named beside its bar, room or not.
const barLabels = {
  id: "barLabels",
  afterDatasetsDraw(drawn) {
    const pen = drawn.ctx;
    pen.save();
    pen.textBaseline = "middle";
    drawn.data.datasets.forEach((dataset, which) => drawn.getDatasetMeta(which).data.forEach((bar, at) => {
      const { text, warning } = dataset.data[at];
      const { x, y, base, height } = bar.getProps(["x", "y", "base", "height"]);
      const left = Math.max(base, drawn.chartArea.left);
      const right = Math.min(x, drawn.chartArea.right);
      pen.font = `600 ${Math.max(9, Math.min(12, height - 3))}px system-ui, sans-serif`;
      const width = pen.measureText(text).width;
      if (text && width < right - left - 8) {
        if (dataset.hatched) { // or the text would be lost among the lines
          pen.fillStyle = colour(dataset.key);
          pen.fillRect(left + 1, y - height / 2 + 1, width + 6, height - 2);
        }
        pen.fillStyle = colour(dataset.dark ? "paper" : "ink");
        pen.fillText(text, left + 4, y);
      } else if (warning) {
        const room = pen.measureText(warning).width + 4;
        pen.fillStyle = colour("bad");
        pen.fillText(warning, right + room < drawn.chartArea.right ? right + 4 : Math.max(drawn.chartArea.left, left - room), y);
      }
    }));
    pen.restore();
  },
};

// `parts`: what the legend shows, [{key, title}]; `span`: how much time the axis is to have at least.
function drawTimeline(canvas, race, strategy, parts, span) {
  const byUser = race.scenario !== "double-click"; // rows are clients then, and the user is what a bar tells
  const datasets = parts.map(({ key, title }) => ({
    label: title, key, data: [], backgroundColor: fill(key), hatched: key in HATCHES, dark: !["refused", "waiting"].includes(key),
    borderColor: colour("panel"), borderWidth: 0.5, grouped: false, barPercentage: 0.92, categoryPercentage: 0.92, minBarLength: 2,
  }));
  const put = (key, attempt, from, to, text, warning) =>
    datasets[parts.findIndex((part) => part.key === key)].data.push({ x: [from, to], y: strategy.rows[attempt.row], attempt, text, warning });
  for (const attempt of strategy.attempts) {
    const key = attempt.excess ? "excess" : attempt.outcome;
    const name = attempt.excess ? attempt.excess.toUpperCase() : titleOf(race, attempt.outcome);
    if (attempt.held > attempt.from) put("waiting", attempt, attempt.from, attempt.held);
    put(key, attempt, attempt.held, attempt.to, byUser && !attempt.excess ? String(attempt.user) : name, attempt.excess && "✗ " + name);
  }
  const userOfRow = strategy.rows.map((_, row) => strategy.attempts.find((attempt) => attempt.row === row)?.user);
  return chart(canvas, {
    type: "bar",
    data: { labels: strategy.rows, datasets },
    options: {
      indexAxis: "y",
      scales: {
        x: { ...plain(byUser ? "ms since the race began" : "ms since the requests of the round were let go"), min: strategy.since, max: span ? strategy.since + span : undefined },
        y: { ...plain(), grid: { color: ({ index }) => (!byUser && index > 0 && userOfRow[index] !== userOfRow[index - 1] ? colour("line") : "transparent") }, ticks: { color: colour("ink"), autoSkip: false, font: { size: strategy.rows.length > 32 ? 9 : 11 } } },
      },
      plugins: {
        legend: { display: false },
        tooltip: { callbacks: {
          title: ([item]) => (byUser ? `${item.raw.y}: buyer ${item.raw.attempt.user}` : item.raw.y),
          label: (item) => describe(race, item.raw.attempt),
        } },
      },
    },
    plugins: [barLabels],
  });
}

function describe(race, attempt) {
  const words = [titleOf(race, attempt.outcome) + (attempt.excess ? ` (${attempt.excess})` : "")];
  words.push(`from ${milliseconds(attempt.from)} on, took ${milliseconds(attempt.to - attempt.from)}`);
  if (attempt.held > attempt.from) words.push(`waited ${milliseconds(attempt.held - attempt.from)} for a unit`);
  if (attempt.retries) words.push(`repeated ${attempt.retries} times`);
  if (attempt.error) words.push(attempt.error);
  return words;
}

// Where percentiles stand on the axis, and their names.
const percentileLines = {
  id: "percentileLines",
  afterDatasetsDraw(drawn, _, { percentiles }) {
    const pen = drawn.ctx;
    const { top, bottom } = drawn.chartArea;
    pen.save();
    pen.font = "11px system-ui, sans-serif";
    pen.strokeStyle = pen.fillStyle = colour("ink");
    pen.setLineDash([4, 3]);
    Object.entries(percentiles).forEach(([name, ms], row) => {
      const x = drawn.scales.x.getPixelForValue(Math.log10(ms));
      pen.beginPath();
      pen.moveTo(x, top);
      pen.lineTo(x, bottom);
      pen.stroke();
      const left = x + 4 + pen.measureText(name).width > drawn.chartArea.right;
      pen.textAlign = left ? "right" : "left";
      pen.fillText(name, x + (left ? -4 : 4), top + 10 + 13 * row);
    });
    pen.restore();
  },
};

function drawLatency(canvas, race, strategy, parts) {
  const edges = race.latency_edges_ms.map(Math.log10);
  const datasets = parts.filter(({ key }) => strategy.latency.counts[key]).map(({ key, title }) => ({
    label: title, backgroundColor: fill(key), borderColor: colour("panel"), borderWidth: 0.5, stack: "all", barPercentage: 1, categoryPercentage: 1,
    data: strategy.latency.counts[key].map((count, at) => ({ x: (edges[at] + edges[at + 1]) / 2, y: count, at })),
  }));
  return chart(canvas, {
    type: "bar",
    data: { datasets },
    options: {
      scales: {
        x: { ...plain(), type: "linear", stacked: true, offset: false, grid: { color: colour("line"), offset: false }, min: edges[0], max: edges[edges.length - 1],
          afterBuildTicks: (axis) => { axis.ticks = edges.filter((edge) => Math.abs(edge - Math.round(edge)) < 1e-6).map((value) => ({ value })); },
          ticks: { color: colour("ink"), callback: (value) => milliseconds(10 ** value) } },
        y: { ...plain("attempts"), stacked: true, ticks: { color: colour("ink"), maxTicksLimit: 4, precision: 0 } },
      },
      plugins: {
        legend: { display: false },
        percentileLines: { percentiles: strategy.latency.percentiles_ms },
        tooltip: { callbacks: {
          title: ([item]) => `${milliseconds(race.latency_edges_ms[item.raw.at])} to ${milliseconds(race.latency_edges_ms[item.raw.at + 1])}`,
        } },
      },
    },
    plugins: [percentileLines],
  });
}

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2]];
const POINTS = ["rect", "triangle", "circle", "rectRot", "star"];

function drawSales(canvas, race) {
  const longest = Math.max(...race.strategies.flatMap((strategy) => strategy.sales.map(([ms]) => ms)));
  const datasets = race.strategies.map((strategy, which) => ({
    label: strategy.name, data: [[0, 0], ...strategy.sales].map(([x, y]) => ({ x, y })),
    borderColor: colour("s" + which % 5), backgroundColor: colour("s" + which % 5), borderWidth: 2, borderDash: DASHES[which % 5], stepped: true,
    pointStyle: POINTS[which % 5], pointRadius: ({ dataIndex }) => (dataIndex > 0 && dataIndex % 20 === 0 ? 5 : 0), pointHitRadius: 6,
  }));
  datasets.push({ label: `${race.limit.name}: ${race.limit.most}`, data: [{ x: 0, y: race.limit.most }, { x: longest, y: race.limit.most }], borderColor: colour("ink"), borderWidth: 1, pointRadius: 0, pointStyle: "line" });
  return chart(canvas, {
    type: "line",
    data: { datasets },
    options: {
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: { x: { ...plain("ms since the race began"), type: "linear", min: 0 }, y: { ...plain(race.limit.sold), beginAtZero: true, suggestedMax: race.limit.most * 1.05 } },
      plugins: { legend: { position: "bottom", labels: { color: colour("ink"), usePointStyle: true, boxHeight: 7, padding: 16 } } },
    },
  });
}
