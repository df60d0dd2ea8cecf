// A drawing made by `tinysae/render/svg.py`, in which every text is escaped. Parsed in a
// template, so that nothing of it is alive before it stands in the page.

const drawn = new WeakMap();

export default function ({ data, parentElement }) {
  if (drawn.get(parentElement) === data) return;
  drawn.set(parentElement, data);
  const template = document.createElement("template");
  template.innerHTML = data;
  parentElement.querySelector("svg")?.remove();
  parentElement.append(template.content);
}
