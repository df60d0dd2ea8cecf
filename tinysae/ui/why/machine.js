// The picture of one answer, as it is played, pointed at and taken apart. In one script
// after what it is made of, and before `machine_page.js` or `machine_file.js`.

// How long each step stays while it plays, in milliseconds.
const STEP_MS = 1500;
// How much of what pushes and pulls is drawn at first.
const DEFAULT_SHARE = 0.6, PHONE_SHARE = 0.4;
// Steps that have room for their names.
const MAX_NAMED_STEPS = 6;

function html(parent, tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

class Machine {
  // `ask(name, value)` tells the page what the reader wants.
  constructor(parent, ask) {
    this.ask = ask;
    this.share = parent.clientWidth < PHONE ? PHONE_SHARE : DEFAULT_SHARE;
    this.root = html(parent, "div", "machine");
    this.sentence = html(this.root, "p", "says");
    const controls = html(this.root, "div", "controls");
    this.playButton = html(controls, "button", "play");
    this.playButton.onclick = () => (this.timer ? this.pause() : this.play());
    this.steps = html(controls, "div", "steps");
    const less = html(controls, "label", "less");
    this.lessName = html(less, "span");
    this.slider = html(less, "input");
    Object.assign(this.slider, { type: "range", min: 5, max: 100, value: 100 * this.share });
    this.slider.oninput = () => {
      this.share = this.slider.value / 100;
      this.draw();
    };
    this.key = html(controls, "span", "key");
    this.saves = html(controls, "span", "saves");
    for (const kind of ["SVG", "PNG"]) {
      const button = html(this.saves, "button", "", kind);
      button.onclick = () => saveAs[kind](this.svg, this.root);
    }
    this.svg = shape(this.root, "svg", "", { role: "group" });
    this.about = html(this.root, "div", "about");
    this.about.setAttribute("aria-live", "polite");
    this.spoken = html(this.root, "ul", "spoken");
    this.listen();
  }

  listen() {
    const idOf = ({ target }) => target.closest?.("[data-id]")?.dataset.id ?? null;
    this.svg.addEventListener("mouseover", (event) => this.point(idOf(event)));
    this.svg.addEventListener("mouseleave", () => this.point(null));
    this.svg.addEventListener("focusin", (event) => this.point(idOf(event)));
    this.svg.addEventListener("focusout", () => this.point(null));
    this.svg.addEventListener("click", (event) => this.choose(idOf(event)));
    this.svg.addEventListener("keydown", (event) => this.press(event, idOf(event)));
    new ResizeObserver(() => {
      const width = this.root.clientWidth;
      if (this.data && width && width !== this.width) this.draw();
    }).observe(this.root);
  }

  show(data) {
    const isFirst = !this.data, isOther = data.print !== this.data?.print;
    this.data = data;
    this.says = new Says(data);
    if (isOther) {
      this.pause();
      this.chosen = this.pointed = this.stage = null;
    }
    this.sentence.textContent = data.sentence;
    this.lessName.textContent = this.says.with("less");
    this.slider.setAttribute("aria-label", this.says.with("share"));
    for (const button of this.saves.children) {
      button.title = this.says.with("save", { kind: button.textContent });
    }
    this.key.replaceChildren();
    for (const [name, token] of [["pro", data.answers[0].text], ["con", data.say.rival]]) {
      html(this.key, "i", name);
      html(this.key, "span", "", this.says.with(name, { token }));
    }
    this.draw();
    if (isFirst && !isCalm()) this.play();
  }

  draw() {
    const isAtEnd = (this.stage ?? null) === null || this.stage === this.drawing.lastStage;
    this.width = this.root.clientWidth;
    const font = getComputedStyle(this.root).fontFamily;
    this.drawing = new Drawing(this.svg, this.data, this.says, {
      width: this.width, share: this.share, font,
    });
    this.drawSteps();
    this.tell();
    this.goTo(isAtEnd ? this.drawing.lastStage : Math.min(this.stage, this.drawing.lastStage));
    this.showChosen();
  }

  drawSteps() {
    const { stages } = this.drawing;
    const print = stages.join("|");
    if (this.steps.dataset.print === print) return;
    this.steps.dataset.print = print;
    this.steps.replaceChildren();
    stages.forEach((name, stage) => {
      const shown = stages.length <= MAX_NAMED_STEPS ? name : String(stage + 1);
      const button = html(this.steps, "button", "", shown);
      button.title = name;
      button.onclick = () => {
        this.pause();
        this.goTo(stage);
      };
    });
  }

  // With reduced motion each press is a step.
  play() {
    const { lastStage } = this.drawing;
    const isOver = this.stage >= lastStage;
    if (isCalm()) {
      this.goTo(isOver ? 0 : this.stage + 1);
      return;
    }
    if (isOver) this.goTo(0);
    this.playButton.textContent = this.says.with("pause");
    this.timer = setInterval(() => {
      this.goTo(this.stage + 1);
      if (this.stage >= this.drawing.lastStage) this.pause();
    }, STEP_MS);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.playButton.textContent = this.says.with("play");
  }

  goTo(stage) {
    this.stage = stage;
    this.drawing.reveal(stage);
    [...this.steps.children].forEach((button, i) => (button.ariaPressed = String(i === stage)));
    this.tellAbout();
  }

  point(id) {
    if (this.pointed === id) return;
    this.pointed = id;
    this.drawing.mark(id, this.chosen);
    this.tellAbout();
  }

  // Takes a part out, or puts it back.
  choose(id) {
    if (!id) return;
    this.chosen = this.chosen === id ? null : id;
    if (this.stage < this.drawing.lastStage) {
      this.pause();
      this.goTo(this.drawing.lastStage);
    }
    if (this.chosen && !this.data.cuts[id]) this.ask("asked", [this.data.print, id]);
    this.showChosen();
  }

  showChosen() {
    this.drawing.showAnswers(this.chosen);
    this.drawing.mark(this.pointed, this.chosen);
    this.tellAbout();
  }

  press(event, id) {
    const { nodes } = this.drawing;
    if (event.key.startsWith("Arrow")) {
      const next = this.drawing.beside(id, event.key);
      if (next) {
        nodes.get(id).node.setAttribute("tabindex", -1);
        nodes.get(next).node.setAttribute("tabindex", 0);
        nodes.get(next).node.focus();
      }
    } else if (event.key === "Enter" || event.key === " ") this.choose(id);
    else if (event.key === "Escape") this.choose(this.chosen);
    else return;
    event.preventDefault();
  }

  // Below the picture: what is pointed at or taken out, or what the step shows.
  tellAbout() {
    const { says } = this, id = this.pointed ?? this.chosen;
    this.about.replaceChildren();
    const words = html(this.about, "div");
    if (!id) {
      html(words, "p", "", says.with(this.aboutStage()));
      return;
    }
    const title = html(words, "p"), feature = says.feature(id);
    html(title, "b", "", says.title(id));
    if (feature !== null) html(title, "span", "number", ` ${feature}`);
    html(words, "p", "", says.does(id));
    const unmeasured = says.with(this.chosen === id ? "measuring" : "click");
    html(words, "p", "", says.without(id) || unmeasured);
    if (feature !== null && this.chosen === id && !this.data.file) {
      const open = html(this.about, "button", "", says.with("open"));
      open.onclick = () => this.ask("opened", [this.data.print, feature]);
    }
  }

  aboutStage() {
    const { lastStage, lampStage } = this.drawing;
    if (this.stage >= lastStage) return "hint";
    if (this.stage === 0) return "about_words";
    return this.stage === lampStage ? "about_lamps" : "about_attention";
  }

  // All of it in words, for who does not see it.
  tell() {
    this.spoken.replaceChildren();
    for (const { text, p } of this.data.answers) html(this.spoken, "li", "", `${text} ${percent(p)}`);
    for (const id of this.drawing.nodes.keys()) {
      const said = [this.says.title(id), this.says.does(id), this.says.without(id)];
      html(this.spoken, "li", "", said.filter(Boolean).join(". "));
    }
  }
}
