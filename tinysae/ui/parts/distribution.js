// Bars of the likeliest next tokens. They keep their elements between reruns, so that a
// new temperature moves them instead of drawing them anew. textContent only.

function add(parent, tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const drawn = new WeakMap();

// As `tinysae.render.numbers.percent` writes it.
function percent(share) {
  if (share === 0 || share === 1) return `${100 * share}%`;
  if (share >= 0.9995 && share < 1) return ">99.9%";
  if (share < 0.0001) return "<0.01%";
  return `${(100 * share).toFixed(share < 0.001 ? 2 : 1)}%`;
}

// The odds at another temperature: logits divided by it, and all of them 1 together.
function oddsAt(temperature, { best, rest }) {
  const highest = Math.max(...best);
  if (temperature === 0) return best.map((value) => Number(value === highest));
  const weight = (value) => Math.exp((value - highest) / temperature);
  const all = best.reduce((sum, value) => sum + weight(value), 0);
  const total = rest.reduce((sum, [value, n]) => sum + n * weight(value), all);
  return best.map((value) => weight(value) / total);
}

// A slider tells the page when it is let go; its text changes while it is dragged.
function follow(entry, live) {
  entry.following?.disconnect();
  if (!live) return;
  entry.following = new MutationObserver(([{ target }]) => {
    if (target.ariaLabel !== live.slider) return;
    oddsAt(Number(target.value), live).forEach((odds, index) => {
      const part = entry.parts[index];
      part.after.style.width = `${100 * odds}%`;
      part.value.textContent = percent(odds);
    });
  });
  const attributeFilter = ["aria-valuetext"];
  entry.following.observe(document.body, { subtree: true, attributeFilter });
}

function build(parent, data) {
  parent.querySelector(".bars")?.remove();
  const bars = add(parent, "div", data.short ? "bars short" : "bars");
  const legend = add(bars, "div", "legend");
  for (const [name, text] of [["after", data.after], ["before", data.before]]) {
    const item = add(legend, "span");
    add(item, "i", name);
    add(item, "span", "", text);
  }
  const list = add(bars, "ol");
  return data.rows.map(([text]) => {
    const row = add(list, "li");
    add(add(row, "span", "label"), "bdi", "", text);
    const track = add(row, "span", "track");
    const after = add(track, "i", "after");
    const before = add(track, "i", "before");
    return { row, after, before, value: add(row, "span", "value") };
  });
}

export default function ({ data, parentElement }) {
  const print = JSON.stringify([data.before, data.after, data.rows.map(([text]) => text)]);
  let entry = drawn.get(parentElement);
  if (entry?.print !== print) {
    entry = { print, parts: build(parentElement, data) };
    drawn.get(parentElement)?.following?.disconnect();
    drawn.set(parentElement, entry);
  }
  follow(entry, data.live);
  data.rows.forEach(([, before, after, value, note], index) => {
    const part = entry.parts[index];
    part.before.style.width = `${100 * before}%`;
    part.after.style.width = `${100 * after}%`;
    part.value.textContent = value;
    part.row.classList.toggle("cut", after === 0);
    part.row.title = note;
  });
  return () => entry.following?.disconnect();
}
