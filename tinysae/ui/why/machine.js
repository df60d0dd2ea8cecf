// The picture of one answer: drawn, played, pointed at and taken apart in the browser.
// Text reaches the page through textContent only: nothing in it is ever markup.
// Where things stand is `machine_layout.js`, which comes before this in one script.

const SVG = "http://www.w3.org/2000/svg";
// How long each step stays while it plays, in milliseconds.
const STEP_MS = 1500;
const DEFAULT_SHARE = 0.6, PHONE_SHARE = 0.4;
// Of the strongest thread: below it, a thread is not shown as part of a path.
const SEEN = 0.1;

function html(parent, tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function shape(parent, tag, className, attributes = {}, text) {
  const element = document.createElementNS(SVG, tag);
  if (className) element.setAttribute("class", className);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const filled = (template, values) =>
  template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
function percent(share) {
  if (share === 0) return "0%";
  if (share < 0.0001) return "<0.01%";
  return `${(100 * share).toFixed(share < 0.001 ? 2 : 1)}%`;
}
const headOf = (arc) => `h${arc.layer}.${arc.head}`;
const side = (effect) => (effect >= 0 ? "pro" : "con");
const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream();
  return new Response(stream.pipeThrough(new DecompressionStream("deflate"))).json();
}

class Machine {
  constructor(parent, ask) {
    this.ask = ask;
    this.share = parent.clientWidth < PHONE ? PHONE_SHARE : DEFAULT_SHARE;
    this.root = html(parent, "div", "machine");
    this.says = html(this.root, "p", "says");
    const controls = html(this.root, "div", "controls");
    this.playButton = html(controls, "button", "play");
    this.playButton.onclick = () => (this.timer ? this.pause() : this.play());
    this.steps = html(controls, "div", "steps");
    const less = html(controls, "label", "less");
    this.lessName = html(less, "span");
    this.slider = html(less, "input");
    Object.assign(this.slider, { type: "range", min: 5, max: 100, step: 1, value: 100 * this.share });
    this.slider.oninput = () => {
      this.share = this.slider.value / 100;
      this.draw();
    };
    this.key = html(controls, "span", "key");
    this.svg = shape(this.root, "svg", "", { role: "group" });
    this.about = html(this.root, "div", "about");
    this.about.setAttribute("aria-live", "polite");
    this.spoken = html(this.root, "div", "spoken");
    this.svg.addEventListener("mouseover", (event) => this.point(this.idOf(event)));
    this.svg.addEventListener("mouseleave", () => this.point(null));
    this.svg.addEventListener("focusin", (event) => this.point(this.idOf(event)));
    this.svg.addEventListener("focusout", () => this.point(null));
    this.svg.addEventListener("click", (event) => this.choose(this.idOf(event)));
    this.svg.addEventListener("keydown", (event) => this.key_(event));
    this.width = 0;
    this.watcher = new ResizeObserver(() => {
      const width = this.root.clientWidth;
      if (this.data && width && width !== this.width) this.draw();
    });
    this.watcher.observe(this.root);
  }

  idOf(event) {
    return event.target.closest?.("[data-id]")?.dataset.id ?? null;
  }

  show(data) {
    const isFirst = !this.data, isOther = data.print !== this.data?.print;
    this.data = data;
    this.say = data.say;
    if (isOther) this.pause();
    if (isOther) this.chosen = null;
    this.pointed = null;
    this.says.textContent = data.sentence;
    this.lessName.textContent = this.say.less;
    this.slider.setAttribute("aria-label", this.say.share);
    this.key.replaceChildren();
    for (const [name, text] of [["pro", data.answers[0].text], ["con", this.say.rival]]) {
      html(this.key, "i", name);
      html(this.key, "span", "", filled(this.say[name], { token: text }));
    }
    this.draw();
    if (isOther) this.goTo(this.stages.length - 1);
    if (isFirst && !isCalm()) this.play();
  }

  draw() {
    const { data, svg } = this;
    this.width = this.root.clientWidth;
    const font = getComputedStyle(this.root).fontFamily;
    const at = (this.at = layout(data, this.width, this.share, font));
    this.font = font;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${this.width} ${at.height}`);
    svg.setAttribute("height", at.height);
    svg.setAttribute("aria-label", data.sentence);
    this.nodes = new Map();
    const isAtEnd = this.stage === undefined || this.stage === this.lastStage;
    this.stages = [this.say.step_words];
    const layers = [...at.rows.keys()].sort((a, b) => a - b);
    this.stageOf = new Map();
    for (const layer of layers.filter((layer) => layer <= data.hook)) this.addLayer(layer);
    this.lampStage = this.stages.push(this.say.step_lamps) - 1;
    for (const layer of layers.filter((layer) => layer > data.hook)) this.addLayer(layer);
    this.lastStage = this.stages.push(this.say.step_answer) - 1;
    if (isAtEnd || this.stage > this.lastStage) this.stage = this.lastStage;
    this.lines = shape(svg, "g");
    this.drawRows();
    this.drawAnswers();
    this.drawArcs();
    this.drawThreads();
    this.drawWords();
    this.drawHeads();
    this.drawLamps();
    this.drawSteps();
    this.tell();
    this.reveal();
    this.mark();
  }

  addLayer(layer) {
    const name = filled(this.say.step_layer, { layer });
    this.stageOf.set(layer, this.stages.push(this.data.n_layers > 1 ? name : this.say.step_attention) - 1);
  }

  // What works together with a part: the arcs, heads, words and lamps that it is seen
  // with when it is pointed at. Through a lamp: what a tenth of its strongest thread has.
  pathOf(id) {
    const { arcs, threads } = this.data;
    const isOf = {
      a: (place) => `a${place}` === id,
      w: (place) => `w${arcs[place].source}` === id,
      h: (place) => headOf(arcs[place]) === id,
      l: () => false,
    }[id[0]];
    const own = new Set(this.at.arcs.filter(isOf)), lamps = new Set();
    const isLamp = id[0] === "l", lamp = Number(id.slice(1));
    const near = threads.filter((thread) => (isLamp ? thread[1] === lamp : own.has(thread[0])));
    const most = Math.max(...near.map(([, , effect]) => Math.abs(effect)));
    for (const [arc, at, effect] of near) {
      if (Math.abs(effect) < SEEN * most) continue;
      if (isLamp) own.add(arc);
      else lamps.add(`l${at}`);
    }
    const ids = new Set([id, ...lamps]);
    for (const place of own) {
      ids.add(`a${place}`).add(`w${arcs[place].source}`).add(headOf(arcs[place]));
    }
    return ids;
  }

  drawRows() {
    if (this.at.phone) return;
    const named = [[this.at.lampY, this.say.row_lamps], [this.at.wordY, this.say.row_words],
      [ANSWER_Y + ANSWER_H / 2, this.say.row_answers]];
    for (const [layer, y] of this.at.rows) {
      named.push([y, filled(this.data.n_layers > 1 ? this.say.row_layer : this.say.row_heads, { layer })]);
    }
    for (const [y, text] of named) {
      shape(this.svg, "text", "faint", { x: 0, y: y + 5, "aria-hidden": true }, text);
    }
  }

  line(d, className, effect, stage, ids) {
    const line = shape(this.lines, "path", `line ${className} ${side(effect)}`, {
      d, "stroke-width": this.at.thick(effect), pathLength: 1,
    });
    line.dataset.stage = stage;
    line.dataset.ends = ids.join(" ");
    return line;
  }

  curve(from, to, ...rest) {
    const middle = (from.y + to.y) / 2;
    return this.line(
      `M${from.x},${from.y} C${from.x},${middle} ${to.x},${middle} ${to.x},${to.y}`, ...rest);
  }

  node(id, stage, className, label) {
    const node = shape(this.svg, "g", `node ${className}`, {
      role: "button", tabindex: this.nodes.size ? -1 : 0, "aria-label": label, "aria-pressed": false,
    });
    node.dataset.id = id;
    node.dataset.stage = stage;
    this.nodes.set(id, node);
    return node;
  }

  drawAnswers() {
    this.chips = this.at.answers.map(({ place, x, y, width, height }) => {
      const group = shape(this.svg, "g", `answer answer${place}`);
      group.dataset.stage = this.lastStage;
      const colour = place === 0 ? "pro" : place === 1 && this.data.rival ? "con" : "other";
      shape(group, "rect", "box", { x, y, width, height, rx: 8 });
      const fill = shape(group, "rect", `fill ${colour}`, { x, y, height, rx: 8, width: 0 });
      const was = shape(group, "rect", "was", { x, y, height, rx: 8, width: 0, visibility: "hidden" });
      const pad = this.at.phone ? 7 : 12;
      const what = shape(group, "text", "what", { x: x + pad, y: y + 26 });
      const p = shape(group, "text", "p", { x: x + width - pad, y: y + 25, "text-anchor": "end" });
      return { group, fill, was, what, p, width, x, y, height };
    });
    this.showAnswers();
  }

  showAnswers() {
    const cut = this.chosen ? this.data.cuts[this.chosen] : null;
    this.chips.forEach((chip, place) => {
      const own = this.data.answers[place];
      let text = own.text, p = own.p, was = own.p;
      if (cut) p = cut.p[place];
      // What it says instead takes the last place, if it is none of these.
      if (cut?.instead && place === this.chips.length - 1) {
        ({ text, p, was } = cut.instead);
      }
      chip.fill.setAttribute("width", Math.max(2, p * chip.width));
      chip.was.setAttribute("width", Math.max(2, was * chip.width));
      chip.was.setAttribute("visibility", cut ? "visible" : "hidden");
      chip.p.textContent = percent(p);
      const room = chip.width - (this.at.phone ? 18 : 30) - widthOf(percent(p), 13, this.font);
      chip.what.textContent = lines(text, room, place ? 16 : 18, this.font, 1)[0];
    });
  }

  drawArcs() {
    const { at, data } = this;
    for (const place of [...at.arcs].reverse()) {
      const arc = data.arcs[place], head = headOf(arc), to = at.heads.get(head);
      const from = at.wordAt.get(arc.source);
      const ids = [`a${place}`, `w${arc.source}`, head];
      const line = this.curve(
        { x: from.x, y: from.y - 17 }, { x: to.x, y: to.y + at.radius }, "arc", arc.effect,
        this.stageOf.get(arc.layer), ids);
      line.dataset.id = `a${place}`;
    }
  }

  drawThreads() {
    const { at, data } = this;
    const shownArcs = new Set(at.arcs), shownLamps = new Set(at.lamps);
    const sums = new Map();
    for (const [arc, lamp, effect] of data.threads) {
      if (!shownArcs.has(arc) || !shownLamps.has(lamp)) continue;
      const id = headOf(data.arcs[arc]);
      const key = `${id} l${lamp}`;
      sums.set(key, { id, lamp, effect: (sums.get(key)?.effect ?? 0) + effect });
    }
    const most = Math.max(0, ...[...sums.values()].map(({ effect }) => Math.abs(effect)));
    const threaded = new Set();
    for (const { id, lamp, effect } of sums.values()) {
      const head = at.heads.get(id), to = at.lampAt.get(lamp);
      // Lines too thin to follow are left to the numbers.
      if (Math.abs(effect) < most * (1 - this.share) * 0.2) continue;
      threaded.add(id);
      this.curve({ x: head.x, y: head.y - at.radius }, { x: to.x, y: to.bottom }, "through",
        effect, this.lampStage, [id, `l${lamp}`]);
    }
    // A head that no lamp is known to carry goes on by itself.
    for (const [id, head] of at.heads) {
      if (threaded.has(id)) continue;
      const effect = head.places.reduce((sum, place) => sum + data.arcs[place].effect, 0);
      this.curve({ x: head.x, y: head.y - at.radius }, this.end(effect), "through", effect,
        this.lastStage, [id]);
    }
    for (const lamp of at.lamps) {
      const { effect } = data.lamps[lamp], from = at.lampAt.get(lamp);
      this.curve({ x: from.x, y: from.y - 10 }, this.end(effect), "out", effect, this.lastStage,
        [`l${lamp}`]);
    }
  }

  end(effect) {
    const chip = this.chips[effect < 0 && this.data.rival && this.chips[1] ? 1 : 0];
    return { x: chip.x + Math.min(chip.width / 2, 140), y: chip.y + chip.height + 2 };
  }

  drawWords() {
    for (const { at: place, x, width } of this.at.words) {
      const y = this.at.wordY;
      if (place === null) {
        shape(this.svg, "text", "word faint", { x, y: y + 5 }, "…");
        continue;
      }
      const text = this.data.words[place], id = `w${place}`, effect = this.data.carried[place] ?? 0;
      const label = filled(this.say.word_label, { word: text, effect: signed(effect) });
      const node = this.node(id, 0, "word", label);
      const strength = Math.min(0.5, (0.5 * Math.abs(effect)) / this.data.most);
      shape(node, "rect", side(effect), {
        x: x - 4, y: y - 14, width: width + 8, height: 26, rx: 5,
        style: `opacity:${strength < 0.02 ? 0 : strength}`,
      });
      shape(node, "rect", "ring", { x: x - 5, y: y - 15, width: width + 10, height: 28, rx: 6 });
      shape(node, "text", "word", { x, y: y + 5 }, text);
    }
  }

  drawHeads() {
    const { radius } = this.at;
    for (const head of this.at.heads.values()) {
      const { layer, head: number } = head.arc, effect = this.data.heads[head.id] ?? 0;
      const label = filled(this.say.head_label, { layer, head: number, effect: signed(effect) });
      const node = this.node(head.id, this.stageOf.get(layer), "head", label);
      shape(node, "circle", "body", { cx: head.x, cy: head.y, r: radius });
      shape(node, "circle", "ring", { cx: head.x, cy: head.y, r: radius + 4 });
      shape(node, "text", "", { x: head.x, y: head.y + 4.5, "text-anchor": "middle" }, number);
    }
  }

  drawLamps() {
    for (const place of [...this.at.lamps].sort((a, b) => this.at.lampAt.get(a).x - this.at.lampAt.get(b).x)) {
      const lamp = this.data.lamps[place], { x, y, first, under } = this.at.lampAt.get(place);
      const called = [...(first ?? [lamp.name]), ...(under ?? [])].join(" ");
      const label = filled(this.say.lamp_label, { name: called, effect: signed(lamp.effect) });
      const node = this.node(`l${place}`, this.lampStage, "lamp", label);
      const light = lamp.light ?? 0, r = this.at.named.has(place) ? 9 : 6;
      if (lamp.light !== null) {
        shape(node, "circle", "bulb", { cx: x, cy: y, r: r * 2.6, style: `opacity:${0.22 * light};stroke:none` });
        shape(node, "circle", "bulb", { cx: x, cy: y, r: r * 1.8, style: `opacity:${0.35 * light};stroke:none` });
      }
      shape(node, "circle", lamp.light === null ? "missed" : "bulb", {
        cx: x, cy: y, r, style: lamp.light === null ? "" : `fill-opacity:${0.15 + 0.85 * light}`,
      });
      shape(node, "circle", "ring", { cx: x, cy: y, r: r + 5 });
      if (!this.at.named.has(place)) continue;
      [...first, ...under].forEach((line, i) => shape(node, "text", i < first.length ? "name" : "faint", {
        x, y: y + NAME_Y + i * LINE_PX, "text-anchor": "middle",
      }, line));
    }
  }

  drawSteps() {
    const names = this.stages.length <= 6 ? this.stages : this.stages.map((_, i) => String(i + 1));
    if (this.steps.dataset.names === names.join("|")) return;
    this.steps.dataset.names = names.join("|");
    this.steps.replaceChildren();
    names.forEach((name, stage) => {
      const button = html(this.steps, "button", "", name);
      button.ariaLabel = this.stages[stage];
      button.onclick = () => { this.pause(); this.goTo(stage); };
    });
  }

  // Playing: what belongs to later steps is not there yet.
  play() {
    if (this.stage >= this.lastStage || isCalm()) this.goTo(isCalm() && this.stage < this.lastStage ? this.stage + 1 : 0);
    if (isCalm()) return;
    this.timer = setInterval(() => {
      this.goTo(this.stage + 1);
      if (this.stage >= this.lastStage) this.pause();
    }, STEP_MS);
    this.playButton.textContent = this.say.pause;
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.playButton.textContent = this.say.play;
  }

  goTo(stage) {
    this.stage = stage;
    this.reveal();
    this.tellAbout();
  }

  reveal() {
    for (const part of this.svg.querySelectorAll("[data-stage]")) {
      const isLater = Number(part.dataset.stage) > this.stage;
      part.classList.toggle("fresh", part.classList.contains("later") && !isLater);
      part.classList.toggle("later", isLater);
    }
    [...this.steps.children].forEach((button, i) => (button.ariaPressed = String(i === this.stage)));
  }

  point(id) {
    if (this.pointed === id) return;
    this.pointed = id;
    this.mark();
    this.tellAbout();
  }

  choose(id) {
    if (!id) return;
    this.chosen = this.chosen === id ? null : id;
    if (this.stage < this.lastStage) { this.pause(); this.goTo(this.lastStage); }
    if (this.chosen && !this.data.cuts[id]) this.ask("asked", [this.data.print, id]);
    this.showAnswers();
    this.mark();
    this.tellAbout();
  }

  mark() {
    const id = this.pointed, own = id ? this.pathOf(id) : new Set();
    this.svg.classList.toggle("pointed", Boolean(id));
    for (const line of this.lines.children) {
      const ends = line.dataset.ends.split(" ");
      line.classList.toggle("own", ends.every((end) => own.has(end)));
      line.classList.toggle("cut", Boolean(this.chosen) && ends.includes(this.chosen));
    }
    for (const [name, node] of this.nodes) {
      node.classList.toggle("own", own.has(name));
      node.classList.toggle("chosen", name === this.chosen);
      node.setAttribute("aria-pressed", name === this.chosen);
    }
  }

  key_(event) {
    const ids = [...this.nodes.keys()], now = ids.indexOf(this.idOf(event));
    const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key in moves) {
      const next = this.nodes.get(ids[now + moves[event.key]]);
      if (next) {
        this.nodes.get(ids[now]).setAttribute("tabindex", -1);
        next.setAttribute("tabindex", 0);
        next.focus();
      }
    } else if (event.key === "Enter" || event.key === " ") this.choose(ids[now]);
    else if (event.key === "Escape") this.choose(this.chosen);
    else return;
    event.preventDefault();
  }

  // The line below the picture: what is pointed at or taken out, or the step.
  tellAbout() {
    const id = this.pointed ?? this.chosen;
    this.about.replaceChildren();
    const words = html(this.about, "div");
    if (!id) {
      const step = this.stage < this.lastStage ? this.say[`about_${this.kindOfStage()}`] : this.say.hint;
      html(words, "p", "", step);
      return;
    }
    const title = html(words, "p");
    html(title, "b", "", this.titleOf(id));
    const number = id[0] === "l" ? this.data.lamps[id.slice(1)].number : null;
    if (number !== null) html(title, "span", "number", ` ${number}`);
    html(words, "p", "", this.doesOf(id));
    const cut = this.data.cuts[id];
    html(words, "p", "", cut ? this.withoutOf(cut) : this.say[this.chosen === id ? "measuring" : "click"]);
    if (number !== null && this.chosen === id) {
      const open = html(this.about, "button", "", this.say.open);
      open.onclick = () => this.ask("opened", [this.data.print, number]);
    }
  }

  kindOfStage() {
    if (this.stage === 0) return "words";
    return this.stage === this.lampStage ? "lamps" : "attention";
  }

  partOf(id) {
    return id[0] === "a" ? this.data.arcs[id.slice(1)] : id[0] === "l" ? this.data.lamps[id.slice(1)] : null;
  }

  titleOf(id) {
    const part = this.partOf(id);
    if (id[0] === "l") return part.name;
    if (id[0] === "w") return filled(this.say.word, { word: this.data.words[id.slice(1)] });
    const [layer, head] = part ? [part.layer, part.head] : id.slice(1).split(".");
    if (!part) return filled(this.say.head, { layer, head });
    const [source, to] = [this.data.words[part.source], this.data.words[part.to]];
    return filled(this.say.arc, { layer, head, source, to, share: percent(part.pattern) });
  }

  doesOf(id) {
    const effect = this.effectOf(id), token = this.data.answers[0].text;
    const about = id[0] === "l" && this.data.lamps[id.slice(1)].about;
    const does = filled(this.say[this.data.exact && id[0] === "l" ? "adds" : "adds_about"], {
      effect: signed(effect), token,
    });
    return about ? `${about} ${does}` : does;
  }

  effectOf(id) {
    if (id[0] === "w") return this.data.carried[id.slice(1)] ?? 0;
    return id[0] === "h" ? this.data.heads[id] : this.partOf(id).effect;
  }

  withoutOf(cut) {
    const [target] = this.data.answers;
    const said = filled(this.say.without, {
      token: target.text, before: percent(target.p), after: percent(cut.p[0]), lost: signed(-cut.lost),
    });
    const best = cut.best;
    return best.text === target.text ? said
      : `${said} ${filled(this.say.instead, { token: best.text, p: percent(best.p) })}`;
  }

  // All of it in words, for who does not see it.
  tell() {
    this.spoken.replaceChildren();
    const list = html(this.spoken, "ul");
    for (const { text, p } of this.data.answers) html(list, "li", "", `${text} ${percent(p)}`);
    for (const id of this.nodes.keys()) {
      const cut = this.data.cuts[id];
      html(list, "li", "", [this.titleOf(id), this.doesOf(id), cut ? this.withoutOf(cut) : ""].join(". "));
    }
  }
}

const machines = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let machine = machines.get(parentElement);
  if (!machine) {
    machine = new Machine(parentElement, (name, value) =>
      (name === "opened" ? setTriggerValue : setStateValue)(name, value));
    machines.set(parentElement, machine);
  }
  unpacked(data).then((picture) => {
    // A rerun of the page sends the same again.
    if (picture.version !== machine.version) {
      machine.version = picture.version;
      machine.show(picture);
    }
  });
}
