// Where everything of the picture stands: rows from the answers on top to the words at
// the bottom. Nothing is drawn here.

const PHONE = 640, WORD_PX = 15, NAME_PX = 13, LINE_PX = 16;
const ANSWER_Y = 14, ANSWER_H = 40, TO_LAMPS = 100, NAME_H = 62, NAME_Y = 27;
const ROW_H = 74, LEAST_ROW_H = 22, ROWS_H = 150, FIRST_ROW_H = 54, TO_WORDS = 100;
// Of the lamps with names, and of those without, in one row.
const NAMED_PX = 124, LEAST_NAMED_PX = 84, DOT_PX = 30;
const WIDEST = 16, THINNEST = 1;

const measure = document.createElement("canvas").getContext("2d");
function widthOf(text, px, font) {
  measure.font = `${px}px ${font}`;
  return measure.measureText(text).width;
}

// The places of the largest that together have `share` of the whole, at least one.
function leading(sizes, share) {
  const order = sizes.map((_, place) => place).sort((a, b) => sizes[b] - sizes[a]);
  const whole = sizes.reduce((sum, size) => sum + size, 0);
  let sum = 0;
  const kept = [];
  for (const place of order) {
    if (kept.length && (sum >= share * whole || !sizes[place])) break;
    kept.push(place);
    sum += sizes[place];
  }
  return kept;
}

// Which words have room, in order: those that carry the most, and the last; null stands
// for what is left out between two.
function fitting(words, weight, room, gap, font) {
  const last = words.length - 1;
  const widths = words.map((text) => widthOf(text, WORD_PX, font));
  const dots = widthOf("…", WORD_PX, font) + gap;
  const order = words.map((_, at) => at).sort((a, b) => weight(b) - weight(a) || b - a);
  const kept = new Set([last]);
  const row = () => {
    const shown = [];
    for (let at = 0; at <= last; at++) {
      if (kept.has(at)) shown.push(at);
      else if (shown.at(-1) !== null) shown.push(null);
    }
    return shown;
  };
  const needed = (shown) => shown.reduce(
    (sum, at) => sum + (at === null ? dots : widths[at] + gap), -gap);
  for (const at of order) {
    kept.add(at);
    if (needed(row()) > room && kept.size > 2) {
      kept.delete(at);
      break;
    }
  }
  const shown = row();
  const free = shown.length > 1 ? (room - needed(shown)) / (shown.length - 1) : 0;
  let x = 0;
  const space = gap + Math.min(Math.max(free, 0), 26);
  return shown.map((at) => {
    const width = at === null ? dots - gap : widths[at];
    const place = { at, x, width };
    x += width + space;
    return place;
  });
}

// Points on a line that keep `least` between them and stay within [low, high].
function apart(points, least, low, high) {
  const order = points.map((_, i) => i).sort((a, b) => points[a] - points[b]);
  const room = Math.min(least, (high - low) / Math.max(1, points.length - 1));
  let free = low;
  for (const i of order) free = (points[i] = Math.max(points[i], free)) + room;
  free = high;
  for (const i of order.reverse()) free = (points[i] = Math.min(points[i], free)) - room;
  return points;
}

// A row of lamps with names, and above it those without; what pushes the answer stands
// under it, to the left.
function placeLamps(data, named, dots, { y, left, right, perRow, font, lampAt }) {
  const byEffect = (a, b) => data.lamps[b].effect - data.lamps[a].effect;
  const lampWidth = (right - left) / named.length;
  named.sort(byEffect).forEach((place, i) => {
    const { name, second } = data.lamps[place], room = Math.min(lampWidth - 8, 190);
    const first = lines(name, room, NAME_PX, font, second ? 2 : 3);
    const under = second ? lines(second, room, NAME_PX, font, 3 - first.length) : [];
    const bottom = y + NAME_Y + LINE_PX * (first.length + under.length) - 8;
    lampAt.set(place, { x: left + lampWidth * (i + 0.5), y, first, under, bottom });
  });
  const dotRows = Math.ceil(dots.length / perRow);
  dots.sort(byEffect).forEach((place, i) => {
    const dotY = y - DOT_PX * (dotRows - Math.floor(i / perRow));
    const x = left + DOT_PX * ((i % perRow) + 0.5);
    lampAt.set(place, { x, y: dotY, bottom: dotY + 9 });
  });
}

function layout(data, width, share, font) {
  const phone = width < PHONE;
  const left = phone ? 4 : 92, right = width - 6, tall = phone ? 0.66 : 1;
  const arcs = leading(data.arcs.map((arc) => Math.abs(arc.effect)), share);
  // Of each SAE's lamps by themselves: each explains all that goes through its hook.
  const byHook = data.hooks.map((_, row) => {
    const size = ({ effect, row: own }) => (own === row ? Math.abs(effect) : 0);
    const kept = leading(data.lamps.map(size), share).filter((at) => data.lamps[at].row === row);
    // What the SAE misses is always seen.
    const missed = data.lamps.findIndex((lamp) => lamp.light === null && lamp.row === row);
    if (missed >= 0 && !kept.includes(missed)) kept.push(missed);
    return kept;
  });
  const lamps = byHook.flat();
  const most = Math.max(
    ...arcs.map((place) => Math.abs(data.arcs[place].effect)),
    ...lamps.map((place) => Math.abs(data.lamps[place].effect)), 1e-9);
  const thick = (effect) => Math.max(THINNEST, Math.min(1, Math.abs(effect) / most) * WIDEST);

  // Answers: the one that is explained is the widest.
  const n = Math.min(data.answers.length, phone ? 3 : 5);
  const shares = (phone ? [1.7, 1.3, 1.25] : [2.2, 1.4, 1, 1, 1]).slice(0, n);
  const unit = (right - left - 10 * (n - 1)) / shares.reduce((a, b) => a + b);
  let x = left;
  const answers = shares.map((part, place) => {
    const box = { place, x, y: ANSWER_Y, width: part * unit, height: ANSWER_H };
    x += part * unit + 10;
    return box;
  });

  // Rows from the top: heads, the first layer lowest, and lamps above the heads that come
  // before their hook.
  const layers = [...new Set(arcs.map((place) => data.arcs[place].layer))];
  layers.sort((a, b) => b - a);
  const rowHeight = Math.max(LEAST_ROW_H, Math.min(ROW_H, ROWS_H / layers.length));
  const inRow = Math.max(1, Math.floor((right - left) / (phone ? LEAST_NAMED_PX : NAMED_PX)));
  const perRow = Math.floor((right - left) / DOT_PX);
  const rows = new Map(), lampYs = [], lampAt = new Map(), named = new Set();
  let y = ANSWER_Y + ANSWER_H, isUnderLamps = false;
  const headsDownTo = (least) => {
    while (layers.length && layers[0] > least) {
      // Threads need room to part.
      y += isUnderLamps ? Math.max(rowHeight, FIRST_ROW_H) : rowHeight;
      rows.set(layers.shift(), y);
      isUnderLamps = false;
    }
  };
  for (let row = data.hooks.length - 1; row >= 0; row--) {
    const top = y;
    headsDownTo(data.hooks[row]);
    const ahead = byHook[row].toSorted(
      (a, b) => (data.lamps[b].light === null) - (data.lamps[a].light === null));
    const first = ahead.slice(0, inRow), dots = ahead.slice(inRow);
    y += (y === top && !isUnderLamps ? tall : 0.6) * TO_LAMPS + Math.ceil(dots.length / perRow) * DOT_PX;
    lampYs[row] = y;
    for (const place of first) named.add(place);
    placeLamps(data, first, dots, { y, left, right, perRow, font, lampAt });
    y += NAME_H;
    isUnderLamps = true;
  }
  headsDownTo(-Infinity);
  const wordY = y + tall * TO_WORDS;

  const carried = data.words.map(() => 0);
  for (const place of arcs) carried[data.arcs[place].source] += Math.abs(data.arcs[place].effect);
  const words = fitting(data.words, (at) => carried[at], right - left, phone ? 7 : 9, font);
  const wordAt = new Map();
  for (const word of words) {
    word.x += left;
    if (word.at !== null) wordAt.set(word.at, { x: word.x + word.width / 2, y: wordY });
  }

  const heads = new Map();
  for (const place of arcs) {
    const arc = data.arcs[place], from = wordAt.get(arc.source);
    if (!from) continue;
    const id = `h${arc.layer}.${arc.head}`;
    if (!heads.has(id)) heads.set(id, { id, arc, places: [], sum: 0, weight: 0 });
    const head = heads.get(id), size = Math.abs(arc.effect);
    head.places.push(place);
    head.sum += from.x * size;
    head.weight += size;
  }
  for (const [layer, rowY] of rows) {
    const own = [...heads.values()].filter((head) => head.arc.layer === layer);
    const xs = apart(own.map((h) => h.sum / h.weight), 52, left + 14, right - 14);
    own.forEach((head, i) => Object.assign(head, { x: xs[i], y: rowY }));
  }
  return {
    phone, left, right, answers, lampAt, named, words, wordAt, wordY,
    heads, rows, lampYs, thick, arcs: arcs.filter((p) => wordAt.has(data.arcs[p].source)),
    lamps, height: wordY + 16, radius: Math.min(14, rowHeight / 2 - 2),
    // Of the thickest thread: thinner ones are drawn only where more is asked for.
    thinnest: 0.2 * (1 - share),
  };
}

// At most `most` lines of `text`, each no wider than `room`.
function lines(text, room, px, font, most) {
  const found = [""];
  for (const word of text.split(" ")) {
    const tried = found.at(-1) ? `${found.at(-1)} ${word}` : word;
    if (!found.at(-1) || widthOf(tried, px, font) <= room) found[found.length - 1] = tried;
    else found.push(word);
  }
  const kept = found.slice(0, most);
  const isCut = found.length > most;
  return kept.map((line, i) => {
    const ending = isCut && i === most - 1 ? "…" : "";
    let shown = line;
    while (shown && widthOf(shown + ending, px, font) > room) shown = shown.slice(0, -1);
    return shown === line ? line + ending : `${shown}…`;
  });
}
