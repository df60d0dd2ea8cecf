// The picture itself, as SVG. Text reaches the page through textContent only: nothing in
// it is ever markup.

const SVG = "http://www.w3.org/2000/svg";
// More lines than these come up together: drawing each is more than a frame's work.
const MANY = 60;

function shape(parent, tag, className, attributes = {}, text) {
  const element = document.createElementNS(SVG, tag);
  if (className) element.setAttribute("class", className);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function html(parent, tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

class Drawing {
  // Draws `data` into `svg`, as wide as it is and at least `height` high.
  constructor(svg, data, says, { width, share, font, height }) {
    Object.assign(this, { svg, data, says, font, nodes: new Map() });
    const at = (this.at = layout(data, width, share, font));
    svg.replaceChildren();
    this.height = Math.max(height, at.height);
    svg.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    svg.setAttribute("height", this.height);
    svg.setAttribute("aria-label", data.sentence);
    this.setStages();
    this.lines = [];
    this.layers = this.stages.map((_, stage) => {
      const layer = shape(svg, "g", "lines");
      layer.dataset.stage = stage;
      return layer;
    });
    this.drawRows();
    this.drawAnswers();
    this.drawArcs();
    this.drawThreads();
    this.drawWords();
    this.drawHeads();
    this.drawLamps();
    svg.classList.toggle("many", this.lines.length > MANY);
  }

  // What comes after what while it plays: words, the layers with the lamps where the SAE
  // is, the answer.
  setStages() {
    const { data, says, at } = this;
    this.stages = [says.with("step_words")];
    this.stageOf = new Map();
    const layers = [...at.rows.keys()].sort((a, b) => a - b);
    this.lampStages = [];
    const several = data.hooks.length > 1;
    const add = (layer) => {
      const name = says.with(data.n_layers > 1 ? "step_layer" : "step_attention", { layer });
      this.stageOf.set(layer, this.stages.push(name) - 1);
    };
    data.hooks.forEach((hook, row) => {
      while (layers.length && layers[0] <= hook) add(layers.shift());
      const name = says.with("step_lamps") + (several ? ` ${row + 1}` : "");
      this.lampStages.push(this.stages.push(name) - 1);
    });
    layers.forEach(add);
    this.lastStage = this.stages.push(says.with("step_answer")) - 1;
  }

  drawRows() {
    const { at, says, data } = this;
    if (at.phone) return;
    const rows = [
      ...at.lampYs.map((y) => [y, says.with("row_lamps")]), [at.wordY, says.with("row_words")],
      [ANSWER_Y + ANSWER_H / 2, says.with("row_answers")],
    ];
    const heads = data.n_layers > 1 ? "row_layer" : "row_heads";
    for (const [layer, y] of at.rows) rows.push([y, says.with(heads, { layer })]);
    for (const [y, text] of rows) {
      shape(this.svg, "text", "faint", { x: 0, y: y + 5, "aria-hidden": true }, text);
    }
  }

  drawAnswers() {
    const pad = this.at.phone ? 7 : 12;
    this.chips = this.at.answers.map(({ place, x, y, width, height }) => {
      const group = shape(this.svg, "g", `answer answer${place}`);
      group.dataset.stage = this.lastStage;
      const colour = place === 0 ? "pro" : place === 1 && this.data.rival ? "con" : "other";
      const box = { x, y, height, rx: 8 };
      shape(group, "rect", "box", { ...box, width });
      return {
        x, y, width, height,
        fill: shape(group, "rect", `fill ${colour}`, { ...box, width: 0 }),
        was: shape(group, "rect", "was", { ...box, width: 0 }),
        what: shape(group, "text", "what", { x: x + pad, y: y + 26 }),
        p: shape(group, "text", "p", { x: x + width - pad, y: y + 25, "text-anchor": "end" }),
        room: width - 2 * pad - 6,
      };
    });
    this.showAnswers(null);
  }

  // The probabilities, or what they are without a part.
  showAnswers(id) {
    const cut = id ? this.data.cuts[id] : null;
    this.chips.forEach((chip, place) => {
      const own = this.data.answers[place];
      let { text, p } = own, was = own.p;
      if (cut) p = cut.p[place];
      // What it says instead takes the last place, if it is none of these.
      if (cut?.instead && place === this.chips.length - 1) ({ text, p, was } = cut.instead);
      chip.fill.setAttribute("width", Math.max(2, p * chip.width));
      chip.was.setAttribute("width", Math.max(2, was * chip.width));
      chip.was.setAttribute("visibility", cut ? "visible" : "hidden");
      chip.p.textContent = percent(p);
      const room = chip.room - widthOf(percent(p), NAME_PX, this.font);
      chip.what.textContent = lines(text, room, place ? 16 : 18, this.font, 1)[0];
    });
  }

  curve(from, to, className, effect, stage, ends) {
    const middle = (from.y + to.y) / 2;
    const line = shape(this.layers[stage], "path", `line ${className} ${side(effect)}`, {
      d: `M${from.x},${from.y} C${from.x},${middle} ${to.x},${middle} ${to.x},${to.y}`,
      "stroke-width": this.at.thick(effect), pathLength: 1,
    });
    this.lines.push(line);
    line.dataset.ends = ends.join(" ");
    return line;
  }

  drawArcs() {
    const { at, data } = this;
    // The thickest last, on top.
    for (const place of [...at.arcs].reverse()) {
      const arc = data.arcs[place], head = at.heads.get(headOf(arc));
      const from = at.wordAt.get(arc.source);
      const line = this.curve(
        { x: from.x, y: from.y - 17 }, { x: head.x, y: head.y + at.radius }, "arc",
        arc.effect, this.stageOf.get(arc.layer), [`a${place}`, `w${arc.source}`, head.id]);
      line.dataset.id = `a${place}`;
    }
  }

  drawThreads() {
    const { at, data } = this;
    const threaded = new Set();
    for (const { head, lamp, effect } of this.threads()) {
      const from = at.heads.get(head), to = at.lampAt.get(lamp);
      threaded.add(head);
      this.curve({ x: from.x, y: from.y - at.radius }, { x: to.x, y: to.bottom }, "through",
        effect, this.lampStageOf(lamp), [head, `l${lamp}`]);
    }
    // A head that no lamp is known to carry goes on by itself.
    for (const [id, head] of at.heads) {
      if (threaded.has(id)) continue;
      const effect = head.places.reduce((sum, place) => sum + data.arcs[place].effect, 0);
      this.curve({ x: head.x, y: head.y - at.radius }, this.end(effect), "through", effect,
        this.lastStage, [id]);
    }
    const linked = new Set();
    for (const { source, lamp, effect } of this.links()) {
      const from = at.lampAt.get(source), to = at.lampAt.get(lamp);
      linked.add(source);
      this.curve({ x: from.x, y: from.y - 10 }, { x: to.x, y: to.bottom }, "through", effect,
        this.lampStageOf(lamp), [`l${source}`, `l${lamp}`]);
    }
    for (const lamp of at.lamps) {
      if (linked.has(lamp)) continue;
      const { effect } = data.lamps[lamp], { x, y } = at.lampAt.get(lamp);
      this.curve({ x, y: y - 10 }, this.end(effect), "out", effect, this.lastStage, [`l${lamp}`]);
    }
  }

  // From each head to each lamp together, without those too thin to follow.
  threads() {
    const { at, data } = this;
    const arcs = new Set(at.arcs), lamps = new Set(at.lamps), sums = new Map();
    for (const [arc, lamp, effect] of data.threads) {
      if (!arcs.has(arc) || !lamps.has(lamp)) continue;
      const head = headOf(data.arcs[arc]), key = `${head} ${lamp}`;
      sums.set(key, { head, lamp, effect: (sums.get(key)?.effect ?? 0) + effect });
    }
    return this.thickEnough([...sums.values()]);
  }

  // The middle of the answer's word, from where it is written on.
  answerAt() {
    const { x, y, width, height } = this.chips[0];
    return { x: x + Math.min(width / 2, 60), y: y + height / 2 };
  }

  // From each lamp to each of the next hook, without those too thin to follow.
  links() {
    const { at, data } = this, shown = new Set(at.lamps);
    const all = data.links
      .map(([source, lamp, effect]) => ({ source, lamp, effect }))
      .filter(({ source, lamp }) => shown.has(source) && shown.has(lamp));
    return this.thickEnough(all);
  }

  thickEnough(all) {
    const most = Math.max(0, ...all.map(({ effect }) => Math.abs(effect)));
    return all.filter(({ effect }) => Math.abs(effect) >= this.at.thinnest * most);
  }

  lampStageOf(lamp) {
    return this.lampStages[this.data.lamps[lamp].row];
  }

  // Where a line ends: at the answer that it pushes.
  end(effect) {
    const chip = this.chips[effect < 0 && this.data.rival && this.chips[1] ? 1 : 0];
    return { x: chip.x + Math.min(chip.width / 2, 140), y: chip.y + chip.height + 2 };
  }

  node(id, stage, className, x, y, called) {
    const node = shape(this.svg, "g", `node ${className}`, {
      role: "button", tabindex: this.nodes.size ? -1 : 0, "aria-pressed": false,
      "aria-label": this.says.label(id, called),
    });
    Object.assign(node.dataset, { id, stage });
    this.nodes.set(id, { node, x, y });
    return node;
  }

  drawWords() {
    for (const { at: place, x, width } of this.at.words) {
      const y = this.at.wordY;
      if (place === null) {
        shape(this.svg, "text", "word faint", { x, y: y + 5 }, "…");
        continue;
      }
      const id = `w${place}`, effect = this.says.effect(id);
      const node = this.node(id, 0, "word", x + width / 2, y);
      const strength = Math.min(0.5, (0.5 * Math.abs(effect)) / this.data.most);
      shape(node, "rect", side(effect), {
        x: x - 4, y: y - 14, width: width + 8, height: 26, rx: 5,
        style: `opacity:${strength < 0.02 ? 0 : strength}`,
      });
      shape(node, "rect", "ring", { x: x - 5, y: y - 15, width: width + 10, height: 28, rx: 6 });
      shape(node, "text", "word", { x, y: y + 5 }, this.data.words[place]);
    }
  }

  drawHeads() {
    const r = this.at.radius;
    for (const { id, arc, x, y } of this.at.heads.values()) {
      const node = this.node(id, this.stageOf.get(arc.layer), "head", x, y);
      shape(node, "circle", "body", { cx: x, cy: y, r });
      shape(node, "circle", "ring", { cx: x, cy: y, r: r + 4 });
      shape(node, "text", "", { x, y: y + 4.5, "text-anchor": "middle" }, arc.head);
    }
  }

  drawLamps() {
    const { at, data } = this;
    for (const place of [...at.lamps].sort((a, b) => at.lampAt.get(a).x - at.lampAt.get(b).x)) {
      const { light, name } = data.lamps[place];
      const { x, y, first = [], under = [] } = at.lampAt.get(place);
      const called = [...first, ...under].join(" ") || name;
      const node = this.node(`l${place}`, this.lampStageOf(place), "lamp", x, y, called);
      const r = at.named.has(place) ? 9 : 6, circle = { cx: x, cy: y };
      if (light === null) shape(node, "circle", "missed", { ...circle, r });
      else {
        shape(node, "circle", "glow", { ...circle, r: 2.6 * r, style: `opacity:${0.22 * light}` });
        shape(node, "circle", "glow", { ...circle, r: 1.8 * r, style: `opacity:${0.35 * light}` });
        shape(node, "circle", "bulb", { ...circle, r, style: `fill-opacity:${0.15 + 0.85 * light}` });
      }
      shape(node, "circle", "ring", { ...circle, r: r + 5 });
      [...first, ...under].forEach((line, i) => {
        const className = i < first.length ? "name" : "faint";
        const middle = { x, y: y + NAME_Y + i * LINE_PX, "text-anchor": "middle" };
        shape(node, "text", className, middle, line);
        // Between words, for who hears them.
        node.append(" ");
      });
    }
  }

  // Shows the stages up to `stage`; what is new is drawn before the reader's eyes.
  reveal(stage) {
    for (const part of this.svg.querySelectorAll("[data-stage]")) {
      const isLater = Number(part.dataset.stage) > stage;
      part.classList.toggle("fresh", part.classList.contains("later") && !isLater);
      part.classList.toggle("later", isLater);
    }
  }

  // Lights up what belongs to the part that is pointed at; the chosen one is cut.
  mark(pointed, chosen) {
    const own = pointed ? pathOf(this.data, this.at.arcs, pointed) : new Set();
    this.svg.classList.toggle("pointed", Boolean(pointed));
    for (const line of this.lines) {
      const ends = line.dataset.ends.split(" ");
      line.classList.toggle("own", ends.every((end) => own.has(end)));
      line.classList.toggle("cut", Boolean(chosen) && ends.includes(chosen));
    }
    for (const [id, { node }] of this.nodes) {
      node.classList.toggle("own", own.has(id));
      node.classList.toggle("chosen", id === chosen);
      node.setAttribute("aria-pressed", id === chosen);
    }
  }
}
