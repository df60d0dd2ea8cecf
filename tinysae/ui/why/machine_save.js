// The picture as a file, as it is drawn at that moment.

// What the style sheet says, which a file has to say for itself.
const KEPT = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap",
  "opacity", "visibility", "font-family", "font-size", "font-weight",
];
// For the page and its readers alone.
const DROPPED = ["class", "tabindex", "role", "aria-pressed", "data-id", "data-ends", "data-stage"];
// Pixels of a PNG for one of the screen.
const SHARPER = 2;

function svgText(svg, root) {
  const copy = svg.cloneNode(true);
  const own = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, i) => {
    const style = getComputedStyle(own[i]);
    for (const name of DROPPED) element.removeAttribute(name);
    for (const name of KEPT) element.style.setProperty(name, style.getPropertyValue(name));
  });
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("width", svg.viewBox.baseVal.width);
  copy.style.background = getComputedStyle(root).getPropertyValue("--st-background-color");
  return new XMLSerializer().serializeToString(copy);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has begun, whatever becomes of the address.
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const saveAs = {
  SVG(svg, root) {
    save(new Blob([svgText(svg, root)], { type: "image/svg+xml" }), "inside.svg");
  },
  async PNG(svg, root) {
    const { width, height } = svg.viewBox.baseVal, image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svgText(svg, root))}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: SHARPER * width, height: SHARPER * height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(blob, "inside.png"), "image/png");
  },
};
