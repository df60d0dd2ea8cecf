// Tells Python what stands in a text field while it is being typed: Streamlit itself
// only says so when the field is left.

const WAIT_MS = 150;
const listening = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  listening.get(parentElement)?.abort();
  const own = new AbortController();
  listening.set(parentElement, own);
  let timer;
  document.addEventListener("input", ({ target }) => {
    if (target?.tagName !== "TEXTAREA" || target.ariaLabel !== data) return;
    clearTimeout(timer);
    timer = setTimeout(() => setStateValue("text", target.value), WAIT_MS);
  }, { signal: own.signal });
  // Until it is there, what is typed is nobody's.
  (parentElement.host ?? parentElement).setAttribute("data-as-typed", "");
  return () => own.abort();
}
