// What every page of the book needs: the colour mode, boxes that scroll, the current section, answers opened by a link, guesses.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Equations wait for the widget that the address names: to load and to set them takes longer than to start it.
  const equations = () => new Promise((done) => {
    const held = document.querySelector("script[data-equations]");
    if (!held) return done();
    const script = document.createElement("script");
    script.onload = () => MathJax.startup.promise.then(done);
    script.onerror = done;
    script.src = held.src;
    document.head.append(script);
  });
  const hostLoaded = () => new Promise((done) => {
    document.querySelector("script[src*='widgets/host.js']")?.addEventListener("load", done);
    addEventListener("load", done); // also where the host does not load
    if (window.weighing || !document.querySelector(".wa-live")) done();
  });
  window.equations = hostLoaded().then(() => window.weighing?.begun).catch(() => {}).then(equations);

  function showMode(mode) {
    root.dataset.mode = mode;
    root.dataset.theme = mode === "auto" ? (dark.matches ? "dark" : "light") : mode;
    for (const button of document.querySelectorAll(".mode button")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
  }

  function modes() {
    const group = document.querySelector(".mode");
    group.hidden = false;
    group.addEventListener("click", (event) => {
      const mode = event.target.dataset.mode;
      if (!mode) return;
      try { localStorage.setItem("wa-mode", mode); } catch { /* a page opened from disk may not store */ }
      showMode(mode);
    });
    dark.addEventListener("change", () => showMode(root.dataset.mode));
    showMode(root.dataset.mode);
  }

  // A box that is wider inside than outside can be scrolled from the keyboard; one that fits is no stop on the way.
  const SCROLLERS = [
    ["div.math > mjx-container", "Equation"],
    [".scroll-x", "Table"],
    ["div.highlight > pre", "Code"],
    [".cell_output pre", "Output"],
    ["figure .diagram, figure .chart", "Figure"],
  ];

  function scrollers() {
    for (const [selector, label] of SCROLLERS) {
      for (const box of document.querySelectorAll(selector)) {
        const wide = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
        if (wide && !box.hasAttribute("tabindex")) {
          box.tabIndex = 0;
          box.setAttribute("role", "group");
          box.setAttribute("aria-label", `${label}, scrolls sideways`);
          box.addEventListener("scroll", () => sayMore(box), { passive: true });
        } else if (!wide && box.getAttribute("aria-label") === `${label}, scrolls sideways`) {
          for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
        }
        sayMore(box);
      }
    }
  }

  // Where a box goes on, its edge fades: a phone shows no scroll bar, and a cut equation can look whole.
  function sayMore(box) {
    const left = box.scrollLeft > 1, right = box.scrollLeft + box.clientWidth < box.scrollWidth - 1;
    box.toggleAttribute("data-more-left", left);
    box.toggleAttribute("data-more-right", right);
  }

  function watchScrollers() {
    scrollers();
    addEventListener("resize", scrollers);
    addEventListener("load", () => {
      scrollers();
      document.fonts?.ready.then(scrollers);
      window.equations.then(scrollers);
    });
    for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", scrollers);
  }

  function target(hash) {
    try { return document.getElementById(decodeURIComponent(hash.slice(1))); } catch { /* an address may hold any % */ }
  }

  function currentSection() {
    const links = new Map();
    for (const link of document.querySelectorAll(".here a[href^='#']")) {
      const section = target(link.hash);
      if (section) links.set(section, link);
    }
    if (!links.size) return;
    const top = document.querySelector(".here a[href='#']");
    const mark = () => {
      let current = top;
      for (const [section, link] of links) if (section.getBoundingClientRect().top < 140) current = link;
      for (const link of document.querySelectorAll(".here a[aria-current]")) link.removeAttribute("aria-current");
      current?.setAttribute("aria-current", "true");
    };
    let waiting = false;
    addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; mark(); });
    }, { passive: true });
    mark();
  }

  // A link into a closed answer opens it.
  function openTarget() {
    const place = target(location.hash), closed = place?.closest("details:not([open])");
    if (closed) { closed.open = true; place.scrollIntoView(); }
  }

  // A guess before the measurement: it can be moved until the reader asks for the number.
  function guesses() {
    for (const box of document.querySelectorAll(".prediction")) {
      const find = (part) => box.querySelector(part);
      const slider = find("input"), answer = find("details"), scale = find(".spread"), mine = find(".mine");
      const label = scale.getAttribute("aria-label");
      const { min, max, step, dataset } = slider;
      const digits = step.split(".")[1]?.length ?? 0;
      const say = () => {
        const number = Number(slider.value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
        const words = dataset.unit ? `${number}\u00a0${dataset.unit}` : number;
        find("output").value = find(".said b").textContent = words;
        slider.setAttribute("aria-valuetext", words);
        scale.setAttribute("aria-label", `${label}, you said ${words}`);
        mine.style.setProperty("--at", `${100 * (slider.value - min) / (max - min)}%`);
      };
      slider.addEventListener("input", say);
      const hold = () => { slider.disabled = answer.open; };
      answer.addEventListener("toggle", hold);
      for (const part of [find(".guess"), find(".said"), mine]) part.hidden = false;
      hold(); // Firefox keeps a slider held when the page is loaded again, though the answer is closed
      say();
    }
  }

  // The address of a chapter with ?slides shows it as slides.
  function slides() {
    if (!new URLSearchParams(location.search).has("slides") || !document.body.matches(".chapter")) return;
    const folder = `${root.dataset.content_root}_static/`;
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${folder}slides.css` });
    style.onload = () => document.head.append(Object.assign(document.createElement("script"), { src: `${folder}slides.js` }));
    document.head.append(style);
  }

  modes();
  guesses();
  slides();
  watchScrollers();
  currentSection();
  openTarget();
  addEventListener("hashchange", openTarget);
  document.querySelector("#contents .current > a.current, #contents a.current")?.setAttribute("aria-current", "page");
})();
