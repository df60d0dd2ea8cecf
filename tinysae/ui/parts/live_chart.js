// A chart that takes new points without being built again: Plotly.react on one node, so
// that the scroll position stays as it is, with the zoom and the hidden lines as the reader
// has set them. Curves, a map of points or a scatter, which tell what is clicked. Streamlit
// calls the default export for every change of the data or the theme, and this text travels
// with each of them: keep it short.

// plotly.js comes once, as a file of its own that the browser keeps.
function load(address) {
  window.tinysaePlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(address, document.baseURI).href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      window.tinysaePlotly = undefined;
      script.remove();
      reject(new Error(`cannot load ${script.src}`));
    };
    document.head.append(script);
  });
  return window.tinysaePlotly;
}

// What the reader has set, by what a chart is of, until the page is left. Not on its node:
// Streamlit mounts a chart anew where two reruns of its fragment meet.
const settings = new Map(), MOST_SETTINGS = 50, AXES = ["xaxis", "yaxis"];

const isLog = (axis) => axis.type === "log";
const zoomed = (layout) => AXES.filter((at) => layout[at].autorange === false);

function keep(of, { data, layout }) {
  const axes = zoomed(layout).map((at) => [at, isLog(layout[at]), [...layout[at].range]]);
  const hidden = data.filter((each) => each.showlegend !== false && each.visible === "legendonly");
  settings.delete(of);
  if (axes.length + hidden.length === 0) return;
  settings.set(of, { axes, hidden: hidden.map(({ name }) => name) });
  if (settings.size > MOST_SETTINGS) settings.delete(settings.keys().next().value);
}

// A zoom is in the axis's own units: another kind of axis starts afresh.
function asSet(of, [data, layout, config]) {
  const { axes, hidden } = settings.get(of) ?? { axes: [], hidden: [] };
  const kept = axes.filter(([at, was]) => was === isLog(layout[at]));
  return [
    data.map((each) => (hidden.includes(each.name) ? { ...each, visible: "legendonly" } : each)),
    { ...layout, ...Object.fromEntries(kept.map(([at, , range]) =>
      [at, { ...layout[at], range: [...range], autorange: false }])) },
    config,
  ];
}

function map(points, ink) {
  const { x, y, texts, features, rates, colours, rarest, chosen, of, chosenTheme } = points;
  const axis = { visible: false }, at = features.indexOf(chosen);
  const ring = {
    x: x.slice(at, at + 1), y: y.slice(at, at + 1), type: "scattergl", mode: "markers",
    hoverinfo: "skip", visible: at >= 0,
    marker: { size: 18, symbol: "circle-open", color: ink, line: { width: 3 } },
  };
  return [[{
    x, y, text: texts, customdata: features, type: "scattergl", mode: "markers",
    hovertemplate: "%{text}<extra></extra>",
    selectedpoints: chosenTheme === null ? null : placesOf(of, chosenTheme),
    unselected: { marker: { opacity: 0.12 } },
    marker: {
      size: 6, opacity: 0.8, color: rates, cmin: rarest, cmax: 0,
      colorscale: colours.map((colour, i) => [i / (colours.length - 1), colour]),
    },
  }, ring], {
    xaxis: { ...axis }, yaxis: { ...axis }, dragmode: "pan", hovermode: "closest", showlegend: false,
  }];
}

const placesOf = (of, theme) => [...of.keys()].filter((i) => of[i] === theme);

// Names on the map: of its themes, each where most of its points in sight lie; where few
// points are in sight, their own. None over another, and none that is cut off.
const NAME_PX = 13, CELL_PX = 60, LEAST_POINTS = 3, FEW = 40, MOST_LETTERS = 26;
const REST_MS = 250;

function names({ x, y, of, themes, texts, chosenTheme }, { xaxis, yaxis }, font) {
  const at = [...x.keys()].map((i) => [xaxis.l2p(x[i]), yaxis.l2p(y[i])]);
  const seen = [...at.keys()].filter((i) =>
    at[i][0] >= 0 && at[i][0] <= xaxis._length && at[i][1] >= 0 && at[i][1] <= yaxis._length);
  const wanted = seen.length <= FEW ? seen.map((i) => [1, own(texts[i]), ...at[i]]) : [];
  for (const [theme, name] of wanted.length ? [] : themes.entries()) {
    const cells = new Map();
    for (const i of seen) {
      if (of[i] !== theme) continue;
      const cell = at[i].map((px) => Math.round(px / CELL_PX)).join();
      cells.set(cell, [...(cells.get(cell) ?? []), i]);
    }
    for (const own of cells.values()) {
      const middle = (k) => own.reduce((sum, i) => sum + at[i][k], 0) / own.length;
      const weight = theme === chosenTheme ? Infinity : own.length;
      if (own.length >= LEAST_POINTS) wanted.push([weight, name, middle(0), middle(1)]);
    }
  }
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `600 ${NAME_PX}px ${font}`;
  const placed = [];
  for (const [, text, px, py] of wanted.sort(([a], [b]) => b - a)) {
    const half = pen.measureText(text).width / 2 + 5, x = px, y = py;
    const isIn = x > half && x < xaxis._length - half && y > NAME_PX && y < yaxis._length - NAME_PX;
    const meets = ({ text: t, x: ox, y: oy, half: o }) =>
      t === text || (Math.abs(x - ox) < half + o && Math.abs(y - oy) < 1.6 * NAME_PX);
    if (isIn && !placed.some(meets)) placed.push({ text, x, y, half });
  }
  return placed.map(({ text, x, y }) => ({ text, x: xaxis.p2l(x), y: yaxis.p2l(y) }));
}

// A feature's name is the second line of what is said of it, as HTML.
function own(said) {
  const name = said.split("<br>")[1] || said.split("<br>")[0];
  return name.length > MOST_LETTERS ? `${name.slice(0, MOST_LETTERS).replace(/&[^;]*$/, "")}…` : name;
}

async function addNames(Plotly, box, chart) {
  const { points } = box.latest;
  if (!points) return;
  const style = getComputedStyle(box), paper = style.getPropertyValue("--st-background-color");
  const found = names(points, chart._fullLayout, style.getPropertyValue("--st-font"));
  const print = JSON.stringify([found, paper]);
  if (print === box.names) return;
  box.names = print;
  const annotations = found.map((each) => ({
    ...each, showarrow: false, captureevents: false, borderpad: 1, bgcolor: paper, opacity: 0.88,
    font: { size: NAME_PX, weight: 600, color: style.getPropertyValue("--st-text-color") },
  }));
  await Plotly.relayout(chart, { annotations });
}

function curves({ series, log_y, x_title, legend }, line) {
  // Without a point Plotly keeps the range of what was drawn before: no numbers then.
  const showticklabels = series.some(({ x }) => x.length > 0);
  const axis = {
    automargin: true, zeroline: false, gridcolor: line, linecolor: line, showticklabels,
  };
  const lines = series.map(({ name, x, y, colour, style }) => ({
    name, x, y, type: style === "bars" ? "bar" : "scatter",
    mode: x.length > 1 ? "lines" : "markers", marker: { color: colour },
    line: { color: colour, width: 2, dash: style === "dashed" ? "dot" : "solid" },
    opacity: style === "faint" ? 0.3 : 1, showlegend: style !== "faint",
    hoverinfo: style === "faint" ? "skip" : "all", hovertemplate: "%{y:.4~g}",
  }));
  // All begin at nothing, and what is never below zero has no axis there.
  const isCurve = series.every(({ style }) => style !== "bars");
  const isPositive = isCurve && series.every(({ y }) => y.every((value) => !(value < 0)));
  const layout = {
    xaxis: {
      ...axis, rangemode: isCurve ? "tozero" : "normal",
      title: { text: x_title, standoff: 8, font: { size: 13 } },
      showgrid: false, spikecolor: line, spikethickness: 1, spikedash: "solid",
    },
    yaxis: {
      ...axis, type: log_y ? "log" : "linear", nticks: 6,
      rangemode: isPositive ? "nonnegative" : "normal",
    },
    hovermode: "x unified",
    showlegend: legend && lines.filter((line) => line.showlegend).length > 1,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
  };
  return [lines, layout];
}

function scatter({ points, lines, chosen, range, ticks, x_title }, ink, line) {
  const axis = {
    automargin: true, zeroline: false, gridcolor: line, linecolor: line,
    tickfont: { size: 13 },
  };
  const joined = lines.map(({ x, y, colour, is_main }) => ({
    x, y, type: "scatter", mode: "lines", hoverinfo: "skip",
    line: { color: colour, width: is_main ? 2.5 : 1.5, dash: is_main ? "solid" : "dot" },
  }));
  const at = points.ids.indexOf(chosen);
  const ring = {
    x: points.x.slice(at, at + 1), y: points.y.slice(at, at + 1), visible: at >= 0,
    type: "scatter", mode: "markers", hoverinfo: "skip",
    marker: { size: 22, symbol: "circle-open", color: ink, line: { width: 2 } },
  };
  const shown = {
    x: points.x, y: points.y, customdata: points.ids, hovertext: points.texts,
    text: points.names, textposition: points.places, cliponaxis: false,
    type: "scatter", mode: "markers+text", hovertemplate: "%{hovertext}<extra></extra>",
    marker: { size: 12, symbol: points.symbols, color: points.colours, line: { width: 2, color: points.colours } },
  };
  return [[...joined, ring, shown], {
    xaxis: {
      ...axis, type: "log", range: [...range], tickvals: ticks, ticktext: ticks.map(String),
      title: { text: x_title, standoff: 8, font: { size: 13 } }, showgrid: false,
    },
    yaxis: { ...axis, tickformat: ",.2~%", nticks: 6 },
    hovermode: "closest", showlegend: false, dragmode: "pan",
  }];
}

function figure(data, style) {
  const text = style.getPropertyValue("--st-text-color");
  const line = style.getPropertyValue("--st-border-color");
  const [shown, layout] = data.points ? map(data.points, text)
    : data.scatter ? scatter(data.scatter, text, line) : curves(data, line);
  return [shown, {
    ...layout, margin: { l: 8, r: 8, t: 8, b: 8 },
    hoverlabel: {
      bgcolor: style.getPropertyValue("--st-background-color"), bordercolor: line,
      font: { color: text }, align: "left",
    },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.getPropertyValue("--st-font"), size: 13, color: text },
  }, { displayModeBar: false, doubleClick: "autosize", scrollZoom: !!data.points }];
}

// What stands there now is what the reader has set.
function notice(box, chart, reset) {
  keep(box.drawn.of, chart);
  reset.hidden = zoomed(chart.layout).length === 0;
}

function wire(Plotly, box, chart, reset) {
  chart.on("plotly_click", ({ points: [point] }) => {
    if (point?.customdata === undefined) return;
    Plotly.Fx.unhover(chart);
    box.click(point.customdata);
  });
  chart.on("plotly_restyle", () => notice(box, chart, reset));
  chart.on("plotly_relayout", (changed) => {
    notice(box, chart, reset);
    // A chart with ranges of its own goes back to them.
    if (changed["xaxis.autorange"]) box.ask();
    // Not amid turns of the wheel, which it would throw off.
    clearTimeout(box.naming);
    box.naming = setTimeout(() => chart.isConnected && addNames(Plotly, box, chart), REST_MS);
  });
  reset.onclick = () =>
    Plotly.relayout(chart, { "xaxis.autorange": true, "yaxis.autorange": true });
  // The sidebar changes the width without resizing the window. None where it is taken away.
  chart.resizing = new ResizeObserver(() => chart.offsetParent && Plotly.Plots.resize(chart));
  chart.resizing.observe(chart);
}

async function draw(box, chart, reset, problem) {
  const Plotly = await load(box.latest.address);
  // What arrived while Plotly was busy is drawn next, and only the newest of it.
  while (box.drawn !== box.latest && chart.isConnected) {
    box.drawn = box.latest;
    await Plotly.react(chart, ...asSet(box.drawn.of, figure(box.drawn, getComputedStyle(box))));
    notice(box, chart, reset);
    problem.hidden = true;
    box.names = "";
    await addNames(Plotly, box, chart);
    if (!chart.resizing) wire(Plotly, box, chart, reset);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".tinysae-live");
  const [chart, reset, problem] = box.children;
  chart.style.height = `${data.height}px`;
  // Only now: a picture without a name would be there until this script runs.
  chart.role = "img";
  chart.ariaLabel = data.description;
  reset.textContent = data.reset;
  // In a node of its own: what Plotly draws into is Plotly's.
  problem.textContent = data.failed;
  box.click = (feature) => setTriggerValue("clicked", feature);
  box.ask = () => {
    box.latest = { ...data };
    box.drawing ??= draw(box, chart, reset, problem)
      .catch(() => (problem.hidden = false))
      .finally(() => (box.drawing = undefined));
  };
  box.ask();
  return () => {
    // Streamlit ends a call that a newer one has overtaken, too: the chart is the newer one's.
    if (chart.isConnected) return;
    chart.resizing?.disconnect();
    window.Plotly?.purge(chart);
  };
}
