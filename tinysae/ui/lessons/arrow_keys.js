// The left and right arrow keys of the whole page, for a presenter. A field that is being
// typed in, and a strip of tokens, keep their own.

const listening = new WeakMap();
const OWN_KEYS = "input, textarea, select, [contenteditable], [role=listbox], [role=slider]";

export default function ({ parentElement, setTriggerValue }) {
  listening.get(parentElement)?.abort();
  const own = new AbortController();
  listening.set(parentElement, own);
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -1, PageDown: 1 }[event.key];
    const path = event.composedPath();
    const isTaken = path.some((node) => node.matches?.(OWN_KEYS));
    if (!step || isTaken || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    setTriggerValue("step", step);
  }, { signal: own.signal });
  // Until it is there, a key is nobody's.
  (parentElement.host ?? parentElement).setAttribute("data-arrow-keys", "");
  return () => own.abort();
}
