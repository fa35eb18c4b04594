// Mounts the book's widgets in a published page, where no kernel runs. Texts and states are scripts beside this file
// (they load from file:// too), fetched when their figure comes near the window. Without this script, or when a widget
// fails, the reader keeps the still picture.
(() => {
  if (window.weighing) return;
  const base = new URL(".", document.currentScript.src).href, texts = {}, loads = {}, modules = {}, models = {}, mounts = new Map();
  window.weighing = (name, text) => { texts[name] = text; };
  const load = name => (loads[name] ??= new Promise((done, fail) => {
    const missing = () => fail(new Error(`${name}.js did not load`));
    const script = Object.assign(document.createElement("script"), { src: `${base}${name}.js`, onerror: missing });
    script.onload = () => (name in texts ? done(texts[name]) : missing());
    document.head.append(script);
  }));
  const blob = text => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const part = name => (modules[name] ??= load(name).then(async text => { // its address, once those it imports have theirs
    for (const [path, needed] of text.matchAll(/"\.\/(\w+)\.js"/g)) text = text.replace(path, `"${await part(needed)}"`);
    return blob(text);
  }));
  const widget = name => (load("core"), part(name).then(url => import(url))); // core is needed in any case
  const same = (a, b) => a === b || (typeof a === "object" && JSON.stringify(a) === JSON.stringify(b));

  // What a widget expects of anywidget's model.
  class Model {
    #state; #listeners = {};
    constructor(state) { this.#state = { ...state }; }
    get(name) { return this.#state[name]; }
    set(name, value) {
      for (const [key, to] of Object.entries(typeof name === "object" ? name : { [name]: value }))
        if (!same(this.#state[key], to)) { this.#state[key] = to; this.#emit(`change:${key}`, to); }
    }
    save_changes() { this.#emit("change"); }
    send() {}
    on(event, listener) { (this.#listeners[event] ??= new Set()).add(listener); }
    off(event, listener) { if (listener) this.#listeners[event]?.delete(listener); else delete this.#listeners[event]; }
    #emit(event, value) { for (const listener of [...(this.#listeners[event] ?? [])]) listener({ changed: value }, value); }
  }

  // The page's address: #widget-translator?sentence=the+cat. A value of another kind than the trait's is left out.
  const asked = () => { const [id, query] = location.hash.slice(1).split(/\?(.*)/s); return { id, values: new URLSearchParams(query ?? "") }; };
  function restore(model, names) {
    for (const [name, text] of asked().values) {
      const now = model.get(name);
      let value = text.slice(0, 2000);
      try { if (typeof now !== "string") value = JSON.parse(value); } catch { continue; }
      if (names.includes(name) && typeof value === typeof now && Array.isArray(value) === Array.isArray(now)) model.set(name, value);
    }
    model.save_changes();
  }
  function share(figure, model, names) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Put this state into the page’s address" });
    button.onclick = () => {
      const values = names.map(name => [name, model.get(name)]).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
      location.hash = `${figure.id}?${new URLSearchParams(values)}`;
      button.textContent = "The address now holds this state: copy it to share";
    };
    const line = Object.assign(document.createElement("div"), { className: "wa-share" });
    line.append(button);
    figure.append(line);
  }

  const mount = figure => mounts.get(figure) ?? mounts.set(figure, start(figure)).get(figure);
  async function start(figure) {
    const { widget: name, state, model: id = figure.id } = figure.dataset, el = document.createElement("div");
    try {
      const [module, values] = await Promise.all([widget(name), load(state)]), names = module.default.address ?? [];
      const model = (models[id] ??= new Model(values)); // two views of one model share it
      if (asked().id === figure.id) restore(model, names);
      figure.prepend(el);
      await module.default.initialize?.({ model });
      await module.default.render({ model, el });
      if (names.length) share(figure, model, names);
      figure.dataset.live = "";
      performance.mark(`live:${figure.id}`);
      return { model, names };
    } catch (error) {
      el.remove();
      const note = figure.querySelector(".wa-note");
      if (note) note.textContent = "The live version of this figure could not start here; this is its still picture.";
      figure.dataset.failed = "";
      console.error(`${figure.id}:`, error);
    }
  }

  async function follow() { // a link with a state in it: go to its widget and show that state
    const figure = document.getElementById(asked().id);
    if (!figure?.matches(".wa-live")) return;
    const before = mounts.has(figure), live = await mount(figure);
    if (live && before) restore(live.model, live.names);
    return figure;
  }
  async function begin() {
    const near = new IntersectionObserver(seen => seen.forEach(entry => {
      if (entry.isIntersecting) { near.unobserve(entry.target); mount(entry.target); }
    }), { rootMargin: "1000px" });
    document.querySelectorAll(".wa-live").forEach(figure => near.observe(figure));
    addEventListener("hashchange", follow);
    (await follow())?.scrollIntoView();
  }
  // The widget that the address names is fetched while the page is still read, and starts as soon as it is read.
  const named = /^widget-(\w+)/.exec(asked().id);
  if (named) widget(named[1]).catch(() => {}); // an address may name a widget that is not there
  const parsed = document.readyState !== "loading" || new Promise(done => document.addEventListener("readystatechange", done, { once: true }));
  window.weighing.begun = Promise.resolve(parsed).then(begin); // house.js sets the equations after it
})();
