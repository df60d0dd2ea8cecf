// A document of somebody else's library in a frame of its own: no access to this page
// or its host (sandbox without allow-same-origin), no network (the document's policy).

const frames = new WeakMap();
// The lowest leaves room for a card below a line of text.
const LOWEST = 240, HIGHEST = 1600;

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream();
  return new Response(stream.pipeThrough(new DecompressionStream("deflate"))).text();
}

// What is drawn while there is no room for it, in a closed expander, stays that small.
function whenWide(frame, draw) {
  const observer = new ResizeObserver(() => {
    if (!frame.offsetWidth) return;
    observer.disconnect();
    draw();
  });
  observer.observe(frame);
}

export default function ({ data, parentElement }) {
  const { title, print, html } = data;
  let frame = frames.get(parentElement);
  if (!frame) {
    frame = document.createElement("iframe");
    frame.setAttribute("sandbox", "allow-scripts");
    // Of another scheme than its document, it would stand on an opaque ground.
    frame.style = "width:100%;border:0;display:block;height:20rem;color-scheme:light";
    const box = document.createElement("div");
    box.className = "framed";
    box.append(frame);
    parentElement.append(box);
    frames.set(parentElement, frame);
  }
  frame.title = title;
  if (frame.dataset.print !== print) {
    frame.dataset.print = print;
    const bytes = Uint8Array.from(atob(html), (c) => c.charCodeAt(0));
    unpacked(bytes).then((text) => whenWide(frame, () => { frame.srcdoc = text; }));
  }
  // All that is believed of what it says is how tall it would like to be.
  function resize({ source, data: height }) {
    if (source !== frame.contentWindow || typeof height !== "number") return;
    frame.style.height = `${Math.max(LOWEST, Math.min(height, HIGHEST)) || LOWEST}px`;
  }
  addEventListener("message", resize);
  return () => removeEventListener("message", resize);
}
