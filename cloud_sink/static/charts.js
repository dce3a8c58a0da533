// Draws each `data-chart` with uPlot from the numbers the server wrote beside it. The charts of a page share
// the time axis, the cursor and the zoom; a gap is hatched, a limit is a thin line with its standard's name.

import uPlot from "/static/vendor/uPlot.esm.js";

const HEIGHT = 180;
const LIGHT = ["#0b5cad", "#b4530a", "#4b7f52", "#7a4fa3", "#a0264c", "#4d6470"];
const DARK = ["#7db7f5", "#f0a35e", "#8fc496", "#c3a1e6", "#f08aa8", "#a9bccb"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function read(box) {
  return JSON.parse(document.getElementById(box.dataset.chart).textContent);
}

function columns(chart) {
  const length = chart.values[0].length;
  const times = Array.from({ length }, (_, index) => chart.from + index * chart.step);
  return [times, ...chart.values];
}

function hatch(plot, chart) {
  const { ctx, bbox } = plot;
  const missing = (index) => chart.values.every((line) => line[index] === null);
  const past = Math.min(chart.values[0].length, Math.floor((chart.now - chart.from) / chart.step));
  ctx.save();
  ctx.strokeStyle = ink("--hairline");
  ctx.fillStyle = ink("--muted");
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  ctx.font = `${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
  for (let start = 0; start < past; start += 1) {
    if (!missing(start)) continue;
    let end = start;
    while (end < past && missing(end)) end += 1;
    const left = Math.max(bbox.left, plot.valToPos(chart.from + start * chart.step, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(chart.from + end * chart.step, "x", true));
    if (right > left) hatchBox(ctx, left, bbox.top, right - left, bbox.height);
    if (right - left > ctx.measureText(chart.gapLabel).width + 8) {
      ctx.fillText(chart.gapLabel, left + 4, bbox.top + bbox.height - 6 * devicePixelRatio);
    }
    start = end;
  }
  ctx.restore();
}

function hatchBox(ctx, left, top, width, height) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.beginPath();
  for (let x = left - height; x < left + width; x += 8 * devicePixelRatio) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

function limit(plot, chart) {
  if (chart.limit === null) return;
  const { ctx, bbox } = plot;
  const y = plot.valToPos(chart.limit, "y", true);
  if (y < bbox.top || y > bbox.top + bbox.height) return;
  ctx.save();
  ctx.strokeStyle = ink("--act");
  ctx.fillStyle = ink("--act");
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  ctx.font = `${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.fillText(chart.limitLabel, bbox.left + 4 * devicePixelRatio, y - 2 * devicePixelRatio);
  ctx.restore();
}

function grouped(number) {
  return number.toLocaleString("en").replaceAll(",", "\u2009");
}

function options(box, chart) {
  const colours = dark.matches ? DARK : LIGHT;
  const axis = { stroke: ink("--muted"), grid: { stroke: ink("--hairline"), width: 1 }, ticks: { show: false } };
  const two = (number) => String(number).padStart(2, "0");
  const clock = (seconds) => {
    const local = uPlot.tzDate(new Date(seconds * 1000), chart.timezone);
    return `${two(local.getHours())}:${two(local.getMinutes())}`;
  };
  const places = { minimumFractionDigits: chart.decimals, maximumFractionDigits: chart.decimals };
  const fixed = (number) => number.toLocaleString("en", places).replaceAll(",", "\u2009");
  return {
    width: box.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), chart.timezone),
    cursor: { sync: { key: "page" } },
    scales: {
      x: { range: () => [chart.from, chart.from + chart.values[0].length * chart.step] },
      y: { range: (_, low, high) => bounds(chart, low, high) },
    },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map(clock), space: 60, size: 28 },
      { ...axis, values: (_, ticks) => ticks.map(grouped), size: 56 },
    ],
    series: [
      { label: chart.timeLabel, value: (_, seconds) => (seconds === null ? "—" : clock(seconds)) },
      ...chart.names.map((name, index) => ({
        label: name,
        stroke: colours[index % colours.length],
        width: 1.5,
        points: { show: true, size: 4 },
        value: (_, number) => (number === null ? "—" : `${fixed(number)}\u2009${chart.unit}`),
      })),
    ],
    hooks: { drawClear: [(plot) => hatch(plot, chart)], draw: [(plot) => limit(plot, chart)] },
  };
}

function bounds(chart, low, high) {
  if (low === null || high === null) return [0, 1];
  const top = chart.limit === null ? high : Math.max(high, chart.limit * 1.1);
  const room = (top - low) * 0.08 || 1;
  return [low - room, top + room];
}

function draw() {
  for (const [box, held] of drawn) {
    if (!box.isConnected) {
      held.plot.destroy();
      drawn.delete(box);
    }
  }
  for (const box of document.querySelectorAll("[data-chart]")) {
    const chart = read(box);
    const held = drawn.get(box);
    const shape = `${chart.names.join("|")} ${chart.from} ${dark.matches}`;
    if (held && held.shape === shape) {
      Object.assign(held.chart, chart);
      held.plot.setData(columns(held.chart));
    } else {
      held?.plot.destroy();
      drawn.set(box, { shape, chart, plot: new uPlot(options(box, chart), columns(chart), box) });
    }
  }
}

function fit() {
  for (const [box, held] of drawn) {
    held.plot.setSize({ width: box.clientWidth, height: HEIGHT });
  }
}

draw();
document.addEventListener("bansui:live", draw);
dark.addEventListener("change", draw);
addEventListener("resize", fit);
