// "/" goes to the page's search box, "?" opens the list of keys; not while one types.
if (!window.tinysaeKeys) {
  window.tinysaeKeys = true;
  addEventListener("keydown", (event) => {
    const typing = event.composedPath()[0]?.closest?.(
      "input, textarea, select, [contenteditable=true], [role=dialog]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") document.querySelector(".st-key-shell_keys button")?.click();
    if (event.key === "/") {
      const main = document.querySelector("[data-testid=stMain]");
      const box = main.querySelector("[class*=_search] input, textarea, input[type=text]");
      if (box) { event.preventDefault(); box.focus(); box.select(); }
    }
  });
}
