// Draws each `data-chart` with uPlot from the numbers the server wrote beside it. The charts of a page share the time
// axis, the cursor and the zoom; a gap is hatched with its reason, a limit is a thin line with its standard's name.

import uPlot from "/static/vendor/uPlot.esm.js";

const HEIGHT = 184;
const THIN = "\u202f";
const STRIP = 5;
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

// One more moment than values, so that the axis reaches the end of the last step.
function columns(chart) {
  const length = chart.values[0].length;
  const times = Array.from({ length: length + 1 }, (_, index) => chart.from + index * chart.step);
  return [times, ...chart.values.map((line) => [...line, null])];
}

// A window's mean holds for the whole of it: a level from its start to its end, joined where the next one touches.
function steps(plot, index) {
  const [times] = plot.data;
  const values = plot.data[index];
  const stroke = new Path2D();
  let touches = false;
  for (let at = 0; at < times.length - 1; at += 1) {
    if (values[at] === null) {
      touches = false;
      continue;
    }
    const y = plot.valToPos(values[at], "y", true);
    const left = plot.valToPos(times[at], "x", true);
    if (touches) stroke.lineTo(left, y);
    else stroke.moveTo(left, y);
    stroke.lineTo(plot.valToPos(times[at + 1], "x", true), y);
    touches = true;
  }
  return { stroke, fill: null, clip: null, band: null, gaps: null, flags: 1 };
}

function pen(plot, colour) {
  const { ctx } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.bbox.left, plot.bbox.top - STRIP * 2 * devicePixelRatio, plot.bbox.width, plot.bbox.height + 99);
  ctx.clip();
  ctx.strokeStyle = ink(colour);
  ctx.fillStyle = ink(colour);
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  ctx.font = `${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
  return ctx;
}

function across(plot, from, to) {
  const { left, width } = plot.bbox;
  const start = Math.max(left, plot.valToPos(from, "x", true));
  return [start, Math.min(left + width, plot.valToPos(to, "x", true)) - start];
}

function gaps(plot, chart) {
  const { top, height } = plot.bbox;
  for (const [from, to] of chart.gaps) {
    const [left, width] = across(plot, from, to);
    if (width <= 0) continue;
    const ctx = pen(plot, "--hairline");
    hatch(ctx, left, top, width, height);
    ctx.restore();
  }
}

// After all lines: a limit may run where the words of a gap stand.
function reasons(plot, chart) {
  const { top, height } = plot.bbox;
  for (const [from, to, reason] of chart.gaps) {
    const [left, width] = across(plot, from, to);
    const ctx = pen(plot, "--muted");
    if (width > ctx.measureText(reason).width + 8 * devicePixelRatio) {
      label(ctx, reason, left + 4 * devicePixelRatio, top + height - 4 * devicePixelRatio);
    }
    ctx.restore();
  }
}

function hatch(ctx, left, top, width, height) {
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

// Words stay legible over lines and hatching.
function label(ctx, words, x, y) {
  ctx.strokeStyle = ink("--paper");
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.strokeText(words, x, y);
  ctx.fillText(words, x, y);
}

function lessons(plot, chart) {
  const ctx = pen(plot, "--muted");
  for (const [from, to] of chart.lessons) {
    const [left, width] = across(plot, from, to);
    if (width > 0) {
      ctx.fillRect(left, plot.bbox.top - (STRIP + 2) * devicePixelRatio, width, STRIP * devicePixelRatio);
    }
  }
  ctx.restore();
}

function limit(plot, chart) {
  const { left, top, width, height } = plot.bbox;
  const y = chart.limit === null ? -1 : plot.valToPos(chart.limit, "y", true);
  if (y < top || y > top + height) return;
  const ctx = pen(plot, "--act");
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(left, y);
  ctx.lineTo(left + width, y);
  ctx.stroke();
  const isHigh = y - top < 18 * devicePixelRatio;
  ctx.textBaseline = isHigh ? "top" : "bottom";
  const edge = left + width - 4 * devicePixelRatio;
  ctx.textAlign = "right";
  ctx.setLineDash([]);
  label(ctx, chart.limitLabel, edge, y + (isHigh ? 3 : -2) * devicePixelRatio);
  ctx.restore();
}

function grouped(number, places = {}) {
  return number.toLocaleString("en", places).replaceAll(",", THIN).replace("-", "\u2212");
}

function options(box, chart) {
  const colours = dark.matches ? DARK : LIGHT;
  const axis = { stroke: ink("--muted"), grid: { stroke: ink("--hairline"), width: 1 }, ticks: { show: false } };
  const two = (number) => String(number).padStart(2, "0");
  const local = (seconds) => uPlot.tzDate(new Date(seconds * 1000), chart.timezone);
  const clock = (seconds) => `${two(local(seconds).getHours())}:${two(local(seconds).getMinutes())}`;
  const date = (seconds) => `${two(local(seconds).getMonth() + 1)}-${two(local(seconds).getDate())}`;
  const isWeek = chart.to - chart.from > 2 * 86400;
  const moment = (seconds) => (isWeek ? `${date(seconds)} ${clock(seconds)}` : clock(seconds));
  const places = { minimumFractionDigits: chart.decimals, maximumFractionDigits: chart.decimals };
  const shown = (number) => `${grouped(number, places)}${chart.unit ? THIN : ""}${chart.unit}`;
  return {
    width: box.clientWidth,
    height: HEIGHT,
    padding: [STRIP + 8, 20, 0, 0],
    tzDate: local,
    cursor: { sync: { key: "page", scales: ["x", null] }, drag: { x: true, y: false } },
    legend: { markers: { width: 0, fill: (plot, index) => plot.series[index].stroke(plot, index) } },
    scales: {
      x: {
        range: (_, low, high) => (low === null ? [chart.from, chart.to] : [Math.max(low, chart.from), Math.min(high, chart.to)]),
      },
      y: { range: (_, low, high) => bounds(chart, low, high) },
    },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map(isWeek ? date : clock), space: 56, size: 28 },
      { ...axis, values: (_, ticks) => ticks.map((tick) => grouped(tick)), size: 56 },
    ],
    series: [
      { label: "", value: (_, seconds) => (seconds === null ? "" : moment(seconds)) },
      ...chart.names.map((name, index) => ({
        label: name,
        stroke: colours[index % colours.length],
        width: 1.5,
        paths: steps,
        points: { show: false },
        value: (_, number) => (number === null ? "" : shown(number)),
      })),
    ],
    hooks: {
      drawClear: [(plot) => gaps(plot, chart)],
      draw: [(plot) => lessons(plot, chart), (plot) => limit(plot, chart), (plot) => reasons(plot, chart)],
    },
  };
}

function bounds(chart, low, high) {
  const known = [low, high, chart.limit].filter((number) => number !== null);
  if (known.length === 0) return [0, 1];
  const least = Math.min(...known);
  const most = Math.max(...known);
  const room = (most - least) * 0.08 || 1;
  return [least - room, most + room];
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
    const shape = `${chart.names.join("|")} ${chart.from} ${chart.step} ${dark.matches}`;
    if (held && held.shape === shape) {
      const { min, max } = held.plot.scales.x;
      Object.assign(held.chart, chart);
      held.plot.setData(columns(held.chart), false);
      held.plot.setScale("x", { min, max });
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
