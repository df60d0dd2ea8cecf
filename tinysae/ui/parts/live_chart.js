// A chart that takes new points without being built again: Plotly.react on one node, so
// that zoom, hidden lines and the scroll position stay as they are. Curves, or a map of
// points that tells which one is clicked. Streamlit calls the default export for every
// change of the data or the theme, and this text travels with each of them: keep it short.

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

function map({ x, y, texts, features, rates, colours, rarest, chosen }, ink) {
  const axis = { visible: false }, at = features.indexOf(chosen);
  const ring = {
    x: x.slice(at, at + 1), y: y.slice(at, at + 1), type: "scattergl", mode: "markers",
    hoverinfo: "skip", visible: at >= 0,
    marker: { size: 18, symbol: "circle-open", color: ink, line: { width: 3 } },
  };
  return [[{
    x, y, text: texts, customdata: features, type: "scattergl", mode: "markers",
    hovertemplate: "%{text}<extra></extra>",
    marker: {
      size: 6, opacity: 0.8, color: rates, cmin: rarest, cmax: 0,
      colorscale: colours.map((colour, i) => [i / (colours.length - 1), colour]),
    },
  }, ring], {
    xaxis: axis, yaxis: axis, dragmode: "pan", hovermode: "closest", showlegend: false,
  }];
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
  const layout = {
    xaxis: {
      ...axis, title: { text: x_title, standoff: 8, font: { size: 13 } },
      showgrid: false, spikecolor: line, spikethickness: 1, spikedash: "solid",
    },
    // A zoom is in the axis's own units: another kind of axis starts afresh.
    yaxis: { ...axis, type: log_y ? "log" : "linear", uirevision: `${log_y}`, nticks: 6 },
    hovermode: "x unified",
    showlegend: legend && lines.filter((line) => line.showlegend).length > 1,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
  };
  return [lines, layout];
}

function figure(data, style) {
  const text = style.getPropertyValue("--st-text-color");
  const line = style.getPropertyValue("--st-border-color");
  const [shown, layout] = data.points ? map(data.points, text) : curves(data, line);
  return [shown, {
    ...layout, uirevision: "kept", margin: { l: 8, r: 8, t: 8, b: 8 },
    hoverlabel: {
      bgcolor: style.getPropertyValue("--st-background-color"), bordercolor: line,
      font: { color: text }, align: "left",
    },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.getPropertyValue("--st-font"), size: 13, color: text },
  }, { displayModeBar: false, doubleClick: "autosize", scrollZoom: !!data.points }];
}

function wire(Plotly, box, chart, reset) {
  chart.on("plotly_click", ({ points: [point] }) => {
    if (!box.latest.points) return;
    Plotly.Fx.unhover(chart);
    box.click(point.customdata);
  });
  chart.on("plotly_relayout", () => {
    const { xaxis, yaxis } = chart.layout;
    reset.hidden = xaxis.autorange !== false && yaxis.autorange !== false;
  });
  reset.onclick = () =>
    Plotly.relayout(chart, { "xaxis.autorange": true, "yaxis.autorange": true });
  // The sidebar changes the width without resizing the window.
  chart.resizing = new ResizeObserver(() => Plotly.Plots.resize(chart));
  chart.resizing.observe(chart);
}

async function draw(box, chart, reset, problem) {
  const Plotly = await load(box.latest.address);
  // What arrived while Plotly was busy is drawn next, and only the newest of it.
  for (let drawn; drawn !== box.latest && chart.isConnected; ) {
    drawn = box.latest;
    await Plotly.react(chart, ...figure(drawn, getComputedStyle(box)));
    problem.hidden = true;
    if (!chart.resizing) wire(Plotly, box, chart, reset);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".tinysae-live");
  const [chart, reset, problem] = box.children;
  chart.style.height = `${data.height}px`;
  chart.setAttribute("aria-label", data.description);
  reset.textContent = data.reset;
  // In a node of its own: what Plotly draws into is Plotly's.
  problem.textContent = data.failed;
  box.latest = { ...data };
  box.click = (feature) => setTriggerValue("clicked", feature);
  box.drawing ??= draw(box, chart, reset, problem)
    .catch(() => (problem.hidden = false))
    .finally(() => (box.drawing = undefined));
  return () => {
    chart.resizing?.disconnect();
    window.Plotly?.purge(chart);
  };
}
