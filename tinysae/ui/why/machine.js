// The picture of one answer, as it is played, pointed at and taken apart. In one script
// after what it is made of, and before `machine_page.js` or `machine_file.js`.

// How long each step stays while it plays, in milliseconds.
const STEP_MS = 1500;
// How much of what pushes and pulls is drawn at first.
const DEFAULT_SHARE = 0.6, PHONE_SHARE = 0.4;
// Steps that have room for their names.
const MAX_NAMED_STEPS = 6;

const isCalm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

class Machine {
  // `ask(name, value)` tells the page what the reader wants; the page sets it.
  constructor(parent) {
    this.ask = () => {};
    this.nAsked = 0;
    this.share = parent.clientWidth < PHONE ? PHONE_SHARE : DEFAULT_SHARE;
    this.root = html(parent, "div", "machine");
    this.sentence = html(this.root, "p", "says");
    const controls = html(this.root, "div", "controls");
    // What stands above the picture, as high as its words are.
    this.above = [this.sentence, controls];
    this.playButton = html(controls, "button", "play");
    this.playButton.onclick = () => (this.isPlaying ? this.pause() : this.play(true));
    this.steps = html(controls, "div", "steps");
    const less = html(controls, "label", "less");
    this.lessName = html(less, "span");
    this.slider = html(less, "input");
    Object.assign(this.slider, { type: "range", min: 5, max: 100, value: 100 * this.share });
    this.slider.oninput = () => {
      this.share = this.slider.value / 100;
      this.drawAnew();
    };
    this.key = html(controls, "span", "key");
    this.saves = html(controls, "span", "saves");
    for (const kind of ["SVG", "PNG"]) {
      const button = html(this.saves, "button", "", kind);
      button.onclick = () => saveAs[kind](this.svg, this.root);
    }
    this.strip = new Strip(this.root, (place) => this.goToWord(place), () => {
      this.pause();
      this.nextWord();
    });
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
    this.svg.addEventListener("focusin", (event) => {
      // Who looks at a part wants it to stay.
      this.pause();
      this.point(idOf(event));
    });
    this.svg.addEventListener("focusout", () => this.point(null));
    this.svg.addEventListener("click", (event) => this.choose(idOf(event)));
    this.svg.addEventListener("keydown", (event) => this.press(event, idOf(event)));
    new ResizeObserver(() => {
      const width = this.root.clientWidth;
      if (this.data && width && width !== this.width) this.drawAnew();
    }).observe(this.root);
  }

  // A question's picture, and those of the words that are written on after it.
  show(data) {
    const isFirst = !this.first, isOther = data.print !== this.first?.print;
    this.first = data;
    this.pictures = [data, ...data.written];
    if (isOther) {
      this.stage = null;
      this.said = this.tallest = 0;
      this.setWord(0);
      this.pause();
      this.lessName.textContent = this.says.with("less");
      this.slider.setAttribute("aria-label", this.says.with("share"));
      for (const button of this.saves.children) {
        button.title = this.says.with("save", { kind: button.textContent });
      }
    } else this.keepUp();
    if (isFirst && !isCalm()) {
      this.goTo(0);
      this.play(false);
    }
    if (!this.isWaiting) return;
    if (this.word + 1 < this.pictures.length || !this.hasMore()) this.nextWord();
  }

  // What is measured by now, or said in another language; what plays is not drawn again
  // because the page has worked out what comes after it.
  keepUp() {
    this.word = Math.min(this.word, this.pictures.length - 1);
    const next = this.pictures[this.word], n = (data) => Object.keys(data.cuts).length;
    if (next.print === this.data.print && n(next) === n(this.data)) {
      this.tellWords();
      return;
    }
    this.setData(next);
    this.draw();
  }

  setData(data) {
    this.data = data;
    this.says = new Says(data);
    this.sentence.textContent = data.sentence;
    this.key.replaceChildren();
    for (const [name, token] of [["pro", data.answers[0].text], ["con", data.say.rival]]) {
      html(this.key, "i", name);
      html(this.key, "span", "", this.says.with(name, { token }));
    }
  }

  // At another width, or with less or more of it: as high as it then is.
  drawAnew() {
    this.tallest = 0;
    for (const each of this.above) each.style.minHeight = "";
    this.draw();
  }

  draw() {
    const isAtEnd = (this.stage ?? null) === null || this.stage === this.drawing.lastStage;
    this.width = this.root.clientWidth;
    const font = getComputedStyle(this.root).fontFamily;
    this.drawing = new Drawing(this.svg, this.data, this.says, {
      width: this.width, share: this.share, font, height: this.tallest,
    });
    // What stands below stays where it is from word to word.
    this.tallest = this.drawing.height;
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

  // Plays the steps that are left, and with `writes` word by word from there; what was
  // played to its end begins anew. With reduced motion each press is a step.
  play(writes) {
    const isOver = this.isWhole() && !this.hasMore();
    if (isOver) {
      this.setWord(0);
      this.goTo(0);
    }
    if (isCalm()) {
      if (this.isWhole()) this.nextWord();
      else if (!isOver) this.goTo(this.stage + 1);
      return;
    }
    this.begin(writes);
    if (this.isWhole()) this.nextWord();
    else this.later(STEP_MS);
  }

  begin(writes) {
    this.isPlaying = true;
    this.writes = writes;
    this.playButton.textContent = this.says.with("pause");
  }

  isWhole() {
    return this.stage >= this.drawing.lastStage;
  }

  later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.writes) this.fetch();
      if (this.isWhole()) {
        this.nextWord();
        return;
      }
      this.goTo(this.stage + 1);
      if (this.isWhole() && !(this.writes && this.hasMore())) this.pause();
      else this.later(this.word ? WORD_STEP_MS : STEP_MS);
    }, ms);
  }

  pause() {
    clearTimeout(this.timer);
    this.isPlaying = this.isWaiting = this.fetched = false;
    this.playButton.textContent = this.says.with("play");
  }

  hasMore() {
    return this.word + 1 < this.pictures.length || !(this.first.all || this.first.file);
  }

  // Asks the page for the picture after this one, ahead of when it is needed.
  fetch() {
    const next = this.word + 1;
    if (next < this.pictures.length || !this.hasMore() || this.fetched === next) return;
    this.fetched = next;
    // The same once more, after a pause, is news, too.
    this.ask("write", [this.first.print, next, ++this.nAsked]);
  }

  // The answer is written to the end of the sentence, and what it says then is drawn; it
  // waits for that while the page works it out.
  nextWord() {
    this.isWaiting = this.word + 1 >= this.pictures.length && this.hasMore();
    if (this.isWaiting) {
      this.fetch();
      return;
    }
    if (!this.hasMore()) {
      this.pause();
      return;
    }
    const before = this.drawing.nodes, from = this.drawing.answerAt();
    this.setWord(this.word + 1);
    if (isCalm()) {
      this.goTo(this.drawing.lastStage);
      return;
    }
    this.goTo(0);
    fall(this.drawing, before, from);
    if (!this.isPlaying) this.begin(false);
    this.later(FALL_MS);
  }

  // A word of the strip, with its whole picture.
  goToWord(place) {
    this.pause();
    this.setWord(place);
    this.goTo(this.drawing.lastStage);
  }

  setWord(place) {
    this.word = place;
    this.said = Math.max(this.said, place);
    this.chosen = this.pointed = null;
    // Shorter words move nothing up.
    const above = place ? this.above : [];
    for (const each of above) each.style.minHeight = `${each.getBoundingClientRect().height}px`;
    this.setData(this.pictures[place]);
    this.draw();
  }

  goTo(stage) {
    this.stage = stage;
    this.drawing.reveal(stage);
    this.tellWords();
    this.svg.classList.toggle("quick", this.word > 0);
    [...this.steps.children].forEach((button, i) => (button.ariaPressed = String(i === stage)));
    this.tellAbout();
  }

  // The words that are said so far.
  tellWords() {
    const words = this.pictures.slice(0, this.said + 1).map(({ answers }) => answers[0].text);
    // A word is said when its picture has come to the answer.
    if (this.word === this.said && !this.isWhole()) words.pop();
    this.strip.show(words, this.word, this.hasMore(), this.says);
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
    this.pause();
    if (!this.isWhole()) this.goTo(this.drawing.lastStage);
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
      const next = beside(nodes, id, event.key);
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
    if (feature !== null && this.chosen === id && !this.first.file) {
      const open = html(this.about, "button", "", says.with("open"));
      open.onclick = () => this.ask("opened", [this.data.print, Number(id.slice(1))]);
    }
  }

  aboutStage() {
    const { lastStage, lampStages } = this.drawing;
    if (this.stage >= lastStage) return "hint";
    if (this.stage === 0) return "about_words";
    return lampStages.includes(this.stage) ? "about_lamps" : "about_attention";
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
