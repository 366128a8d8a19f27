// Everything works without this file. It remembers the theme, and takes keys.
(() => {
  "use strict";
  const root = document.documentElement;
  const themes = ["system", "light", "dark"];
  const remembered = () => {
    try { return localStorage.getItem("theme") || "system"; } catch { return "system"; }
  };
  const show = (theme) => {
    if (theme === "system") { delete root.dataset.theme; } else { root.dataset.theme = theme; }
  };
  let theme = remembered();
  show(theme); // before the body is drawn, so that nothing flashes

  const turn = () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("theme", theme); } catch { /* then it is forgotten */ }
    show(theme);
    label();
  };
  const label = () => {
    const button = document.getElementById("theme");
    if (button) { button.hidden = false; button.textContent = `Theme: ${theme}`; }
  };
  const places = {
    o: "/", i: "/incidents", q: "/queues", r: "/reports", f: "/forensics", p: "/replays", m: "/mutes", d: "/detector",
  };
  let leading = 0;
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.key === "g") { leading = event.timeStamp; return; }
    if (leading && event.timeStamp - leading < 1500 && event.key in places) {
      const then = new URLSearchParams(location.search).get("as_of");
      location.assign(places[event.key] + (then ? `?as_of=${encodeURIComponent(then)}` : ""));
    } else if (event.key === "t") { turn(); }
    leading = 0;
  });
  document.addEventListener("DOMContentLoaded", () => {
    label();
    const button = document.getElementById("theme");
    if (button) { button.addEventListener("click", turn); }
  });
})();
