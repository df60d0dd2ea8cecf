// What Streamlit remembers from visit to visit. Light or dark it keeps for the one address
// that was opened first, and here for all of the app's; an open menu it keeps on a phone,
// too, where it would lie over the next page that is opened.
// Its text stands in every page: keep it short.
function remember(pages) {
  const PHONE_PX = 768, CHOSEN = "tinysae.theme", MENU = "stSidebarCollapsed-";
  const base = location.pathname.replace(/[^/]*$/, "");
  const keys = pages.map((page) => `stActiveTheme-${base}${page}-v2`);
  let kept;
  try {
    kept = localStorage;
  } catch {
    // A browser that is told to keep nothing: nothing is remembered then.
    return;
  }
  const share = () => {
    const before = kept.getItem(CHOSEN);
    const now = keys
      .map((key) => kept.getItem(key))
      .find((theme) => theme && theme !== before);
    for (const key of now ? [CHOSEN, ...keys] : []) kept.setItem(key, now);
    if (innerWidth <= PHONE_PX) kept.removeItem(MENU);
  };
  share();
  if (window.tinysaeRemembers) return;
  window.tinysaeRemembers = true;
  // Streamlit has written what was chosen once the click is over.
  addEventListener("click", () => setTimeout(share));
}
