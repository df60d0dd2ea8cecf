// The machine as a component of the page, which sends what is drawn as packed JSON. Last
// in the script.

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream();
  return new Response(stream.pipeThrough(new DecompressionStream("deflate"))).json();
}

const machines = new WeakMap();

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let machine = machines.get(parentElement);
  if (!machine) {
    machine = new Machine(parentElement);
    machines.set(parentElement, machine);
  }
  // A rerun's own: what an older one would send, nobody waits for.
  machine.ask = (name, value) =>
    (name === "opened" ? setTriggerValue : setStateValue)(name, value);
  // What came last counts, also where something before it takes longer to unpack.
  const turn = (machine.turn = (machine.turn ?? 0) + 1);
  unpacked(data).then((picture) => {
    // A rerun of the page sends the same again.
    if (turn !== machine.turn || picture.version === machine.version) return;
    machine.version = picture.version;
    machine.show(picture);
  });
}
