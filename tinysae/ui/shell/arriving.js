// Another place (a page, a lesson's step, a feature) begins at its top, and Back leads to
// where the reader was in it; on a phone the menu that led there closes.
// Its text stands in every page: keep it short.
function arrive(place) {
  const PHONE_PX = 768, RESTORE_MS = 3000;
  const main = () => document.querySelector("[data-testid=stMain]");
  if (!window.tinysaePlaces) {
    window.tinysaePlaces = { at: place, tops: {}, isBack: false };
    addEventListener("popstate", () => (window.tinysaePlaces.isBack = true));
    document.addEventListener("scroll", ({ target }) => {
      const { at, tops } = window.tinysaePlaces;
      if (target === main()) tops[at] = target.scrollTop;
    }, true);
    return;
  }
  const places = window.tinysaePlaces;
  if (places.at === place) return;
  const top = (places.isBack && places.tops[place]) || 0;
  Object.assign(places, { at: place, isBack: false });
  const until = performance.now() + RESTORE_MS;
  let isMoved = false;
  for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    addEventListener(name, () => (isMoved = true), { once: true, passive: true });
  }
  // The page is drawn bit by bit: what is to be seen may not be there yet.
  (function scroll() {
    if (isMoved || places.at !== place || performance.now() > until) return;
    main().scrollTop = top;
    requestAnimationFrame(scroll);
  })();
  const close = "[data-testid=stSidebarCollapseButton] button[aria-expanded=true]";
  if (innerWidth <= PHONE_PX) document.querySelector(close)?.click();
}
