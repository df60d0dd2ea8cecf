// The words that the machine writes on: a strip of them, each with its own picture, and
// how one picture becomes the next.

// How long a word's way down takes, and each step of its picture, in milliseconds.
const FALL_MS = 600, WORD_STEP_MS = 450;

class Strip {
  // `go(place)` shows the picture that says the word of that place; `next()` one more.
  constructor(parent, go, next) {
    this.root = html(parent, "div", "strip");
    this.name = html(this.root, "span", "faint");
    this.words = html(this.root, "span", "words");
    this.more = html(this.root, "button", "more");
    this.more.onclick = next;
    this.go = go;
    this.root.addEventListener("keydown", (event) => this.press(event));
  }

  // `texts` of the words said so far, of which `shown` is on the picture.
  show(texts, shown, hasMore, says) {
    this.name.textContent = says.with("writes");
    this.more.textContent = says.with("next_word");
    this.more.disabled = !hasMore;
    while (this.words.children.length > texts.length) this.words.lastChild.remove();
    texts.forEach((text, place) => {
      const button = this.words.children[place] ?? html(this.words, "button");
      button.textContent = text;
      button.ariaPressed = String(place === shown);
      button.onclick = () => this.go(place);
    });
    const last = this.words.children[shown];
    // Only sideways, and only this strip: the page stays where it is.
    if (last) this.words.scrollLeft = last.offsetLeft + last.offsetWidth - this.words.clientWidth;
  }

  press(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const all = [...this.words.children], to = all[all.indexOf(event.target) + step];
    if (!step || !all.includes(event.target) || !to) return;
    to.focus();
    to.click();
    event.preventDefault();
  }
}

// The answer of the picture before comes down to the end of the sentence, whose words
// make room. `before` are the places of its words, `from` that of its answer.
function fall(drawing, before, from) {
  const last = drawing.data.words.length - 1;
  for (const [id, { node, x, y }] of drawing.nodes) {
    const old = id === `w${last}` ? from : before.get(id);
    if (id[0] !== "w" || !old) continue;
    node.animate(
      [{ transform: `translate(${old.x - x}px, ${old.y - y}px)` }, { transform: "none" }],
      { duration: FALL_MS, easing: "ease-in-out" });
  }
}
