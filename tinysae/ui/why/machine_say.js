// What is said of a part of the picture. A part is named by a letter and its place: w8
// a word, h0.3 a head, a12 an arc, l2 a lamp.

const filled = (template, values) =>
  template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
function percent(share) {
  if (share === 0 || share === 1) return `${100 * share}%`;
  if (share >= 0.9995 && share < 1) return ">99.9%";
  if (share < 0.0001) return "<0.01%";
  return `${(100 * share).toFixed(share < 0.001 ? 2 : 1)}%`;
}
const headOf = (arc) => `h${arc.layer}.${arc.head}`;
const side = (effect) => (effect >= 0 ? "pro" : "con");

class Says {
  constructor(data) {
    this.data = data;
    this.templates = data.say;
  }

  with(name, values = {}) {
    return filled(this.templates[name], values);
  }

  part(id) {
    return { a: this.data.arcs, l: this.data.lamps }[id[0]]?.[id.slice(1)];
  }

  effect(id) {
    if (id[0] === "w") return this.data.carried[id.slice(1)] ?? 0;
    return id[0] === "h" ? this.data.heads[id] : this.part(id).effect;
  }

  // What is foretold to be lost without it: where it adds a part of a sum, that is not all.
  foretold(id) {
    return id[0] === "l" ? this.part(id).foretold : this.effect(id);
  }

  // A feature's number; null for what is none.
  feature(id) {
    return id[0] === "l" ? this.part(id).number : null;
  }

  title(id) {
    const { words } = this.data, part = this.part(id);
    if (id[0] === "l") return part.name;
    if (id[0] === "w") return this.with("word", { word: words[id.slice(1)] });
    if (id[0] === "h") {
      const [layer, head] = id.slice(1).split(".");
      return this.with("head", { layer, head });
    }
    const { layer, head, source, to, pattern } = part;
    return this.with("arc", {
      layer, head, source: words[source], to: words[to], share: percent(pattern),
    });
  }

  does(id) {
    const isExact = id[0] === "l" && this.part(id).exact;
    const does = this.with(isExact ? "adds" : "adds_about", {
      effect: signed(this.effect(id)), token: this.data.answers[0].text,
      other: this.data.say.rival,
    });
    return [id[0] === "l" ? this.part(id).about : "", does].filter(Boolean).join(" ");
  }

  without(id) {
    const cut = this.data.cuts[id], [target] = this.data.answers;
    if (!cut) return "";
    const said = this.with("without", {
      token: target.text, before: percent(target.p), after: percent(cut.p[0]),
      other: this.data.say.rival, lost: signed(-cut.lost), foretold: signed(-this.foretold(id)),
    });
    const { text, p } = cut.best;
    if (text === target.text) return said;
    return `${said} ${this.with("instead", { token: text, p: percent(p) })}`;
  }

  // In a line: for a part's name to a screen reader.
  label(id, called) {
    const effect = signed(this.effect(id)), place = id.slice(1);
    if (id[0] === "w") return this.with("word_label", { word: this.data.words[place], effect });
    if (id[0] === "l") return this.with("lamp_label", { name: called, effect });
    const [layer, head] = place.split(".");
    return this.with("head_label", { layer, head, effect });
  }
}
