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
    drawn.set(parentElement, entry);
  }
  data.rows.forEach(([, before, after, value, note], index) => {
    const part = entry.parts[index];
    part.before.style.width = `${100 * before}%`;
    part.after.style.width = `${100 * after}%`;
    part.value.textContent = value;
    part.row.classList.toggle("cut", after === 0);
    part.row.title = note;
  });
}
