// What belongs together, and what stands beside what.

// Of the strongest thread: below it, a thread is not shown as part of a path.
const SEEN = 0.1;

// What works together with a part: the arcs, heads, words and lamps that are seen with
// it when it is pointed at. Through a lamp: what has a share of its strongest thread.
function pathOf(data, shown, id) {
  const { arcs, threads } = data;
  const isOf = {
    a: (place) => `a${place}` === id,
    w: (place) => `w${arcs[place].source}` === id,
    h: (place) => headOf(arcs[place]) === id,
    l: () => false,
  }[id[0]];
  const own = new Set(shown.filter(isOf)), lamps = new Set();
  const isLamp = id[0] === "l", lamp = Number(id.slice(1));
  if (isLamp) linkedTo(data, lamp).forEach((at) => lamps.add(`l${at}`));
  const near = threads.filter((thread) => (isLamp ? thread[1] === lamp : own.has(thread[0])));
  const most = Math.max(...near.map(([, , effect]) => Math.abs(effect)));
  for (const [arc, at, effect] of near) {
    if (Math.abs(effect) < SEEN * most) continue;
    if (isLamp) own.add(arc);
    else for (const lit of [at, ...linkedTo(data, at)]) lamps.add(`l${lit}`);
  }
  const ids = new Set([id, ...lamps]);
  for (const place of own) {
    ids.add(`a${place}`).add(`w${arcs[place].source}`).add(headOf(arcs[place]));
  }
  return ids;
}

// The lamps of the hooks before and after that have a share of a lamp's strongest link.
function linkedTo(data, lamp) {
  const near = data.links.filter(([from, to]) => from === lamp || to === lamp);
  const most = Math.max(...near.map(([, , effect]) => Math.abs(effect)));
  return near.filter(([, , effect]) => Math.abs(effect) >= SEEN * most)
    .map(([from, to]) => (from === lamp ? to : from));
}

// The nearest part of the same row (to the left or right) or of the next one.
function beside(nodes, id, key) {
  const all = [...nodes.entries()], from = nodes.get(id);
  const isAcross = key === "ArrowLeft" || key === "ArrowRight";
  const sign = key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1;
  const ahead = ({ x, y }) => sign * (isAcross ? x - from.x : y - from.y);
  const found = all.filter(([, to]) => (!isAcross || to.y === from.y) && ahead(to) > 0);
  if (!found.length) return null;
  const least = Math.min(...found.map(([, to]) => ahead(to)));
  const aside = ([, to]) => Math.abs(to.x - from.x);
  const nearest = found.filter(([, to]) => ahead(to) === least);
  return nearest.sort((a, b) => aside(a) - aside(b))[0][0];
}
