// Draws tokens as coloured spans with one card of details.
// Text reaches the page through textContent only: nothing in it is ever markup.

// Arrows are held down: what follows them waits for a pause.
const PAUSE_MS = 120;

// What stands in for text that cannot be seen; it is drawn by CSS, so that copied text
// stays exact.
function mark(text) {
  if (text === "") return "·";
  if (text === "\n") return "↵";
  if (/^[\u0000-\u001f]+$/.test(text)) {
    return [...text].map((c) => String.fromCharCode(0x2400 + c.charCodeAt(0))).join("");
  }
  return /^[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+$/.test(text)
    ? "◌" : "";
}

// Whether its spaces must be drawn as they are: more than one between words, or at an end.
const isExact = (text, before) => !/^ ?\S+$/.test(text) || !/\S$/.test(before);

function add(parent, tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function addToken(parent, tag, className, text) {
  const element = add(parent, tag, className, text);
  if (mark(text)) element.dataset.mark = mark(text);
  return element;
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream();
  const whole = stream.pipeThrough(new DecompressionStream("deflate"));
  return new Response(whole).json();
}

function draw(root, strip, select) {
  root.replaceChildren();
  const card = add(root, "div", "card");
  card.id = "card";
  card.role = "tooltip";
  card.popover = "manual";

  if (strip.legend) {
    const legend = add(root, "div", "legend");
    add(legend, "span", "", strip.legend);
    const ramp = add(legend, "span", "ramp");
    add(ramp, "span", "", strip.low);
    for (let i = 0; i < strip.steps; i++) add(ramp, "i", strip.scale + i);
    add(ramp, "span", "", strip.high);
  }

  const list = add(root, "div", "tokens");
  list.role = "listbox";
  list.ariaLabel = strip.label;
  list.dir = "auto";
  if (strip.spaces) list.classList.add("spaces");
  if (strip.follows) list.classList.add("follows");
  if (strip.story) list.classList.add("story");
  if (strip.replay) list.classList.add("replay");
  const spans = strip.tokens.map(([text, step, highlighted, details], index) => {
    const span = addToken(list, "span", "token", text);
    if (step !== null) span.classList.add(strip.scale + step);
    if (isExact(text, strip.tokens[index - 1]?.[0] ?? "")) span.classList.add("exact");
    if (strip.spaces && text.startsWith(" ")) span.classList.add("space");
    if (highlighted) span.classList.add("highlighted");
    if (index < strip.given) span.classList.add("given");
    span.style.setProperty("--at", index - strip.given);
    span.role = "option";
    span.tabIndex = index ? -1 : 0;
    span.ariaSelected = "false";
    const first = details.length ? `, ${details[0].join(" ")}` : "";
    span.ariaLabel = `“${mark(text) || text}”${first}`;
    return span;
  });
  // The tokens of a story are four letters long, on average.
  if (strip.room) add(list, "span", "room", "abc ".repeat(strip.room)).ariaHidden = "true";

  let shown = -1;
  let following;
  function hide() {
    following?.abort();
    if (shown >= 0) spans[shown].removeAttribute("aria-describedby");
    shown = -1;
    if (card.isConnected) card.hidePopover();
  }
  function show(index) {
    if (index < 0 || index === shown) return;
    const [text, , , details] = strip.tokens[index];
    if (!details.length) return;
    if (shown >= 0) hide();
    shown = index;
    card.replaceChildren();
    addToken(card, "b", "chip", text);
    let below = false;
    for (const [label, value] of details) {
      if (!label) {
        below = true;
        add(card, "div", "heading", value);
        continue;
      }
      const row = add(card, "div", "row");
      addToken(row, "span", "chip", label);
      add(row, "span", "value", value);
      if (below && /^[\d.]+%$/.test(value)) row.style.setProperty("--share", value);
    }
    spans[index].setAttribute("aria-describedby", "card");
    card.showPopover();
    place();
    // The card floats above the page: it has to follow its token.
    following = new AbortController();
    const { signal } = following;
    addEventListener("scroll", place, { capture: true, passive: true, signal });
  }
  // Below the token's first line, or above it where there is no room.
  function place() {
    if (!card.isConnected) return hide();
    const at = spans[shown].getClientRects()[0] ?? spans[shown].getBoundingClientRect();
    const own = card.getBoundingClientRect();
    const below = at.bottom + 6;
    const fits = below + own.height < innerHeight || at.top < own.height;
    card.style.top = `${fits ? below : at.top - own.height - 6}px`;
    card.style.left = `${Math.max(8, Math.min(at.left, innerWidth - own.width - 8))}px`;
  }

  // One stop of the Tab key for the whole strip; arrows move within it.
  let current = 0;
  function moveTo(index) {
    if (!spans[index]) return;
    spans[current].tabIndex = -1;
    current = index;
    spans[current].tabIndex = 0;
    spans[current].focus();
  }
  function showSelected(index) {
    spans.forEach((span, i) => (span.ariaSelected = String(i === index)));
  }
  let nChosen = 0, pause;
  function choose(index) {
    if (!strip.selectable) return;
    clearTimeout(pause);
    showSelected(index);
    // The same token again, after one of another strip, is news, too.
    select([strip.fingerprint, index, ++nChosen]);
    // What is opened by it says all of this; the card would lie upon it.
    hide();
  }
  const indexOf = (event) => spans.indexOf(event.target);
  list.addEventListener("focusin", (event) => {
    const index = indexOf(event);
    if (!strip.follows) return show(index);
    // What stands beside the strip says what the card would, and covers no text.
    if (!event.target.matches(":focus-visible")) return;
    clearTimeout(pause);
    pause = setTimeout(() => choose(index), PAUSE_MS);
  });
  list.addEventListener("focusout", hide);
  list.onmouseover = (event) => show(indexOf(event));
  list.onmouseleave = hide;
  list.onclick = (event) => {
    const index = indexOf(event);
    if (index < 0) return;
    moveTo(index);
    show(index);
    choose(index);
  };
  list.onkeydown = (event) => {
    const moves = {
      ArrowRight: current + 1, ArrowDown: current + 1,
      ArrowLeft: current - 1, ArrowUp: current - 1,
      Home: 0, End: spans.length - 1,
    };
    if (event.key in moves) moveTo(moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") choose(current);
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  };
  return { hide, select: showSelected };
}

const drawn = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  let entry = drawn.get(parentElement);
  if (!entry) {
    entry = { root: add(parentElement, "div", "strip"), print: null, strip: null };
    drawn.set(parentElement, entry);
  }
  unpacked(data).then((strip) => {
    // A rerun of the page sends the same again: keep the focus where it is.
    if (strip.fingerprint !== entry.print) {
      entry.print = strip.fingerprint;
      entry.strip?.hide();
      entry.strip = draw(entry.root, strip, (value) => setStateValue("selected", value));
    }
    if (strip.follows) entry.strip.select(strip.selected);
  });
}
