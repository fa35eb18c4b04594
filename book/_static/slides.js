// A chapter as slides: its pictures, cases, equations, tables and moving figures, each on a sheet of its own. house.js
// loads this where the address asks for it: 05_bahdanau.html?slides. Nothing is drawn a second time, only moved.
(() => {
  const root = document.documentElement;
  const article = document.querySelector("article");
  const page = article.querySelector("section");
  const SHOWN = "figure, .by-hand, div.math, .scroll-x, .wa-figure, .literal-block-wrapper";
  const LEFT_OUT = "#claims-tested, #exercises, #in-an-interview, #further-reading, .paper, details, .rules, .numbers-from";
  const LONGEST_LEAD = 330; // letters: a longer paragraph is for reading, not for a wall
  const SMALLEST = 0.55;

  const heading = (node) => node.closest("section")?.querySelector(":scope > :is(h2, h3)") ?? page.querySelector("h1");

  function words(title) {
    const copy = title.cloneNode(true);
    copy.querySelector(".headerlink")?.remove();
    return copy.childNodes;
  }

  function slide(title, kind, ...parts) {
    const sheet = document.createElement("section");
    sheet.className = `slide ${kind}`;
    const head = document.createElement(kind === "first" ? "h1" : "h2");
    head.append(...words(title));
    const body = document.createElement("div");
    body.append(...parts.filter(Boolean));
    sheet.append(head, body);
    return sheet;
  }

  // A sheet for what is shown with the paragraph that leads to it; the things to try with a moving figure on the next.
  function sheetsFor(node) {
    const before = node.previousElementSibling;
    const lead = before?.matches("p") && before.textContent.length <= LONGEST_LEAD ? before : null;
    const moving = node.matches(".wa-figure");
    const after = moving ? node.nextElementSibling : null;
    const list = after?.matches("p") ? after.nextElementSibling : after;
    const title = heading(node);
    return [
      slide(title, moving || node.matches(".by-hand") ? "tall" : "shown", lead, node),
      ...(list?.matches("ol") ? [slide(title, "list", after === list ? null : after, list)] : []),
    ];
  }

  function questions() {
    const titles = [...document.querySelectorAll("#in-an-interview .interview > .admonition-title")];
    if (!titles.length) return [];
    const list = document.createElement("ul");
    for (const title of titles) list.append(Object.assign(document.createElement("li"), { innerHTML: title.innerHTML }));
    return [slide(document.querySelector("#in-an-interview > h2"), "list", list)];
  }

  // What is higher than its sheet is drawn smaller; a case by hand or a moving figure keeps its size, and its sheet grows.
  function fit() {
    for (const sheet of document.querySelectorAll(".slide:not(.tall)")) {
      const body = sheet.lastElementChild;
      const bottom = sheet.getBoundingClientRect().bottom - parseFloat(getComputedStyle(sheet).paddingBottom);
      body.style.cssText = "";
      for (let zoom = 1; zoom > SMALLEST && body.getBoundingClientRect().bottom > bottom; zoom -= 0.02)
        body.style.cssText = `zoom: ${zoom}; max-width: calc(var(--wide) / ${zoom})`; // wider, so lines may break anew
    }
  }

  // A key leads to the next sheet or the one before, but one that points down or up first through a tall sheet.
  function turn(event) {
    if (event.target.closest(".wa-live, input, select, textarea, button") || event.ctrlKey || event.metaKey || event.altKey) return;
    const sheets = [...document.querySelectorAll(".slide")];
    const here = sheets.findIndex((sheet) => sheet.getBoundingClientRect().bottom > innerHeight / 2);
    const key = event.key === " " ? (event.shiftKey ? "PageUp" : "PageDown") : event.key;
    const to = {
      ArrowRight: here + 1, ArrowDown: here + 1, PageDown: here + 1,
      ArrowLeft: here - 1, ArrowUp: here - 1, PageUp: here - 1, Home: 0, End: sheets.length - 1,
    }[key];
    if (key === "Escape") location.search = "";
    if (to === undefined) return;
    event.preventDefault();
    const { top, bottom } = sheets[here].getBoundingClientRect(), far = 0.8 * innerHeight;
    const rest = key.endsWith("Down") ? bottom - innerHeight : key.endsWith("Up") ? -top : 0;
    if (rest > 1) return scrollBy(0, Math.min(rest, far) * (to - here));
    sheets[Math.max(0, Math.min(to, sheets.length - 1))].scrollIntoView();
  }

  const shown = [...page.querySelectorAll(SHOWN)].filter(
    (node) => !node.parentElement.closest(SHOWN) && !node.closest(LEFT_OUT),
  );
  const sheets = [
    slide(page.querySelector("h1"), "first", page.querySelector(".question")),
    ...shown.flatMap(sheetsFor),
    ...questions(),
  ];
  article.replaceChildren(...sheets);
  root.classList.add("slides");
  addEventListener("resize", fit);
  window.equations.then(fit);
  document.fonts?.ready.then(fit);
  addEventListener("keydown", turn);
})();
