// A list of features and, beside it, a panel with the chosen one: two places of the page
// that share what was sent so far, so that an arrow key shows the next feature at once.
// The server hears which one it is when the reader has come to rest, and what is lacking
// further on a while before it is needed.
// Text reaches the page through textContent only: nothing in it is ever markup.

const AHEAD = 16, ASKED = 32, REST_MS = 300, BAR_PX = 58;
// Characters of a name that is set smaller, in two lines.
const LONG = 36;

// What both places show. `ranks`: place in the list -> [feature, why it was found].
const shown = {
  index: null, list: null, n: 0, page: 0, rank: -1, feature: -1, stamp: 0,
  faces: new Map(), ranks: new Map(), kept: new Map(),
  ways: "strongest", asked: "", resting: 0, words: {}, actions: [], size: 8,
  tell() {}, ask() {}, act() {}, list_: null, panel_: null,
};

function add(parent, tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function addButton(parent, className, text, label, press) {
  const button = add(parent, "button", className, text);
  button.type = "button";
  button.ariaLabel = label;
  button.title = label;
  button.onclick = press;
  return button;
}

function addStrip(parent, strip, className) {
  const line = add(parent, "div", `strip ${className}`);
  line.dir = "auto";
  for (const token of strip) {
    if (typeof token === "string") { line.append(token); continue; }
    const [text, colour, value, isPlace] = token;
    // The space before a word stays plain: at a line's end it would be a coloured sliver.
    const word = text.trimStart();
    if (word) line.append(text.slice(0, text.length - word.length));
    const span = add(line, "span", `token s${colour}`, word || text);
    span.title = `${shown.words.activation} ${value}`;
    if (isPlace) span.classList.add("place");
  }
  return line;
}

// --- What is chosen --------------------------------------------------------------

function choose(rank) {
  if (!shown.n) return;
  rank = Math.max(0, Math.min(shown.n - 1, rank));
  shown.rank = rank;
  shown.page = Math.floor(rank / shown.size);
  shown.feature = shown.ranks.get(rank)?.[0] ?? -1;
  draw();
  need(rank);
  clearTimeout(shown.resting);
  shown.resting = setTimeout(rest, REST_MS);
}

function rest() {
  shown.resting = 0;
  if (shown.feature >= 0) shown.tell([++shown.stamp, shown.feature]);
}

// Asks for what is not here of the places around `rank`.
function need(rank) {
  const first = Math.max(0, rank - AHEAD), last = Math.min(shown.n, rank + AHEAD);
  let from = first;
  while (from < last && shown.ranks.has(from)) from++;
  if (from >= last) return;
  // The gap may lie behind: then a whole stretch that ends with it is asked for.
  if (from < rank && shown.ranks.has(rank)) from = Math.max(0, rank - ASKED);
  const wanted = [shown.list, from, Math.min(shown.n, from + ASKED)];
  if (String(wanted) === shown.asked) return;
  shown.asked = String(wanted);
  shown.ask(wanted);
}

const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

function move(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = STEPS[event.key] ?? { PageDown: shown.size, PageUp: -shown.size }[event.key];
  if (step) choose(shown.rank + step);
  else if (event.key === "Home") choose(0);
  else if (event.key === "End") choose(shown.n - 1);
  else return;
  event.preventDefault();
}

// To the left and right wherever no field or list has the keys.
document.addEventListener("keydown", (event) => {
  const at = event.composedPath()[0];
  const isFree = at === document.body || at?.closest?.("[data-testid=stMain]") === at;
  if (isFree && shown.panel_?.isConnected && /^Arrow(Left|Right)$/.test(event.key)) {
    move(event);
  }
});

// --- The list --------------------------------------------------------------------

function drawList() {
  const { list_: root, page, size, n, words } = shown;
  if (!root) return;
  const first = page * size;
  const places = Array.from({ length: size }, (_, i) => first + i);
  // What stands in it as it is now; a choice only moves the mark.
  const print = JSON.stringify([shown.list, places.map((p) => shown.ranks.get(p))]);
  if (print !== root.dataset.print) {
    root.dataset.print = print;
    const list = root.querySelector(".list");
    list.ariaLabel = words.list;
    list.replaceChildren(...places.map((place) => card(place)));
    root.querySelector(".pager span").textContent = n
      ? `${(first + 1).toLocaleString("en")}–${Math.min(first + size, n).toLocaleString("en")} / ${n.toLocaleString("en")}`
      : "";
    const [back, on] = root.querySelectorAll(".pager button");
    back.disabled = !page;
    on.disabled = first + size >= n;
    back.ariaLabel = back.title = words.page_back;
    on.ariaLabel = on.title = words.page_on;
  }
  for (const each of root.querySelectorAll(".card")) {
    each.ariaSelected = String(+each.dataset.feature === shown.feature);
  }
  const at = root.querySelector(".card[aria-selected=true]");
  const list = root.querySelector(".list");
  if (at) list.setAttribute("aria-activedescendant", at.id);
  else list.removeAttribute("aria-activedescendant");
}

// How sure the name is; the numbers, on hover.
function addSure(parent, face) {
  const mark = add(parent, "span", "sure", face.mark);
  mark.role = "img";
  mark.ariaLabel = mark.title = face.sure;
}

function card(place) {
  const card = document.createElement("div");
  const [feature, why] = shown.ranks.get(place) ?? [];
  const face = shown.faces.get(feature);
  card.className = face ? "card" : "card empty";
  if (!face) {
    card.ariaHidden = "true";
    return card;
  }
  card.id = `card-${place}`;
  card.role = "option";
  card.dataset.feature = feature;
  card.ariaSetSize = String(shown.n);
  card.ariaPosInSet = String(place + 1);
  const head = add(card, "div", "row");
  add(head, "span", "name", face.short).title = face.name;
  addSure(head, face);
  add(head, "span", "number", why || `#${feature}`);
  addStrip(card, face.card, "one-line");
  add(card, "div", "words", `→ ${face.words.join(" · ")}`);
  card.onclick = () => {
    choose(place);
    show();
  };
  return card;
}

function makeList(root) {
  const list = add(root, "div", "list");
  list.role = "listbox";
  list.tabIndex = 0;
  list.onkeydown = move;
  const pager = add(root, "div", "pager");
  const turn = (pages) => () => {
    shown.page += pages;
    drawList();
    need(shown.page * shown.size);
  };
  addButton(pager, "", "‹", "", turn(-1));
  add(pager, "span", "");
  addButton(pager, "", "›", "", turn(1));
}

// Where the panel stands above the list, on a phone, a choice leads to it.
function show() {
  const top = shown.panel_?.getBoundingClientRect().top ?? 0;
  if (top < 0 || top > innerHeight - 200) shown.panel_.scrollIntoView({ block: "start" });
}

// --- The panel -------------------------------------------------------------------

function drawPanel() {
  const { panel_: root, words } = shown;
  if (!root) return;
  const face = shown.faces.get(shown.feature);
  root.ariaBusy = String(!face);
  if (!face) return;
  const [isKept, note] = shown.kept.get(face.feature) ?? [false, ""];
  const print = JSON.stringify([face.feature, shown.index, shown.ways, isKept, note]);
  if (print === root.dataset.print) return;
  root.dataset.print = print;
  const held = root.getRootNode().activeElement?.dataset?.does;
  root.dataset.feature = face.feature;
  root.ariaLabel = face.title;

  const head = document.createElement("header");
  const title = add(head, "h2", "", face.name);
  title.title = face.name;
  title.classList.toggle("long", face.name.length > LONG);
  addSure(head, face);
  add(head, "span", "number", `#${face.feature}`).title = face.title;
  does(addButton(head, "", "‹", words.previous, () => choose(shown.rank - 1)), "previous");
  does(addButton(head, "", "›", words.next, () => choose(shown.rank + 1)), "next");
  const said = document.createElement("p");
  said.className = "said";
  said.role = "status";
  said.textContent = note ? `${face.said} ${words.note}: ${note}` : face.said;

  root.replaceChildren(head, said, actions(face, isKept), passages(face), bottom(face));
  // A key that was pressed here stays under the finger.
  if (held) root.querySelector(`[data-does="${held}"]`)?.focus();
}

function does(button, what) {
  button.dataset.does = what;
  return button;
}

function actions(face, isKept) {
  const row = document.createElement("div");
  row.className = "actions";
  for (const [what, label, hint] of shown.actions) {
    const button = addButton(row, "", label, hint || label, () => {
      if (what === "keep") {
        const [, note] = shown.kept.get(face.feature) ?? [false, ""];
        shown.kept.set(face.feature, [!isKept, note]);
        draw();
      }
      shown.act([what, face.feature, !isKept]);
    });
    button.removeAttribute("aria-label");
    does(button, what);
    if (what === "keep") {
      button.ariaPressed = String(isKept);
      button.textContent = isKept ? shown.words.kept : label;
      button.classList.add("keep");
    }
  }
  if (face.theme) {
    const list = () => shown.act(["theme", face.feature]);
    does(addButton(row, "theme", face.theme, `${shown.words.theme}: ${face.theme}`, list), "theme");
  } else if (face.theme === "") {
    add(row, "span", "theme facts", shown.words.no_theme);
  }
  return row;
}

function passages(face) {
  const box = document.createElement("section");
  const ways = add(box, "div", "ways");
  for (const way of ["strongest", "quantiles"]) {
    const button = does(addButton(ways, "", shown.words[way], shown.words[way], () => {
      shown.ways = way;
      draw();
    }), way);
    button.ariaPressed = String(way === shown.ways);
  }
  add(ways, "span", "facts", face.often).title = face.sure;
  const strips = add(box, "div", "strips");
  const found = face[shown.ways];
  for (const [value, strip] of found) {
    const row = add(strips, "div", "passage");
    addStrip(row, strip, "");
    add(row, "span", "value", value);
  }
  if (!found.length) add(strips, "p", "facts", shown.words.no_passage);
  if (face.alike && shown.ways === "strongest") add(strips, "p", "facts", face.alike);
  return box;
}

function bottom(face) {
  const row = document.createElement("div");
  row.className = "bottom";
  const largest = Math.max(0.01, ...[...face.towards, ...face.away].map((x) => Math.abs(x[2])));
  for (const way of ["towards", "away"]) {
    const box = add(row, "section", way);
    add(box, "h3", "", shown.words[way]);
    for (const [text, value, logit] of face[way]) {
      const line = add(box, "div", "push");
      add(line, "span", "token-name", text);
      const bar = add(line, "i", "bar");
      bar.style.width = `${(Math.abs(logit) / largest) * BAR_PX}px`;
      add(line, "span", "value", value);
    }
  }
  const box = add(row, "section", "histogram");
  add(box, "h3", "", shown.words.histogram);
  const bars = add(box, "div", "bars");
  bars.role = "img";
  bars.ariaLabel = `${shown.words.histogram}: 0 – ${face.high}`;
  const top = Math.log10(1 + Math.max(1, ...face.counts));
  for (const count of face.counts) {
    const bar = add(bars, "i");
    bar.style.height = count ? `max(2px, ${(Math.log10(1 + count) / top) * 100}%)` : "0";
    bar.title = count.toLocaleString("en");
  }
  const scale = add(box, "div", "scale");
  add(scale, "span", "", "0");
  add(scale, "span", "", shown.words.axis);
  add(scale, "span", "", face.high);
  return row;
}

// --- What the server sends -------------------------------------------------------

function draw() {
  drawList();
  drawPanel();
}

function take(sent) {
  if (sent.index !== shown.index) {
    shown.faces.clear();
    shown.kept.clear();
  }
  if (sent.list !== shown.list) {
    shown.ranks.clear();
    shown.asked = "";
    shown.rank = -2;
  }
  Object.assign(shown, {
    index: sent.index, list: sent.list, n: sent.n, words: sent.words, actions: sent.actions,
  });
  for (const face of sent.faces) {
    shown.faces.set(face.feature, face);
    shown.kept.set(face.feature, sent.kept[face.feature] ?? [false, ""]);
  }
  for (const [rank, feature, why] of sent.ranks) shown.ranks.set(rank, [feature, why]);
  const isNews = !shown.resting && sent.stamp >= shown.stamp;
  if (shown.rank === -2 || (isNews && sent.feature !== shown.feature && shown.feature >= 0)) {
    // A link, Back, the map or another list: not what was chosen here.
    shown.stamp = Math.max(shown.stamp, sent.stamp);
    Object.assign(shown, { feature: sent.feature, rank: sent.rank });
    shown.page = Math.floor(Math.max(0, sent.rank) / shown.size);
    if (shown.panel_) show();
  } else if (shown.feature < 0) {
    // It was ahead of what was here.
    shown.feature = shown.ranks.get(shown.rank)?.[0] ?? -1;
    if (shown.feature >= 0 && !shown.resting) rest();
  }
  draw();
  need(Math.max(0, shown.rank));
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream();
  const whole = stream.pipeThrough(new DecompressionStream("deflate"));
  return new Response(whole).json();
}

let latest = null;

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const isList = data === "list";
  let root = parentElement.querySelector(".list-place, .panel");
  if (!root) {
    root = add(parentElement, "div", isList ? "list-place" : "panel");
    if (isList) makeList(root);
    else root.role = "region";
  }
  if (isList) {
    shown.list_ = root;
    drawList();
    return;
  }
  shown.panel_ = root;
  shown.tell = (at) => setStateValue("at", at);
  shown.ask = (wanted) => setStateValue("want", wanted);
  shown.act = (what) => setTriggerValue("act", what);
  latest = data;
  unpacked(data).then((sent) => latest === data && take(sent));
}
