// One page of the built site as XHTML for an EPUB. MathJax stands ready in the window that runs this.
async ({ base, name, pages, site }) => {
  const address = new URL(`${name}.html`, base), answer = await fetch(address);
  if (!answer.ok) throw new Error(`${name}: there is no such page in the built book`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const article = page.querySelector("article"), all = selector => [...article.querySelectorAll(selector)];
  const title = page.querySelector("h1").cloneNode(true);
  title.querySelectorAll(".headerlink").forEach(node => node.remove());
  title.querySelectorAll(".section-number").forEach(node => { node.textContent = `${parseInt(node.textContent)}. `; });
  const failed = [], images = new Set();
  const parsed = text => page.importNode(new DOMParser().parseFromString(text, "application/xml").documentElement, true);

  // What only a browser can do.
  const live = "script, style:not(svg style), link, button, [hidden], .spread, .levels, .headerlink, .ways, .threads .down";
  all(`${live}, a:has(.viewcode-link)`).forEach(node => node.remove());
  all("details").forEach(node => { node.setAttribute("open", "open"); node.removeAttribute("name"); });
  all("figure.wa-live").forEach(figure => {
    const note = figure.querySelector(".wa-note");
    note.textContent = "This figure moves in the book’s web edition" + (site ? ": " : ".");
    if (site) {
      const link = page.createElement("a");
      link.href = link.textContent = `${site}${name}.html#${figure.id}`;
      note.append(link);
    }
  });

  // Equations.
  const mathml = (latex, display) => {
    const text = MathJax.tex2mml(latex.trim(), { display });
    if (text.includes("<merror")) failed.push(latex);
    const math = parsed(text);
    math.setAttribute("alttext", latex.trim());
    math.querySelectorAll("[columnspacing='']").forEach(node => node.removeAttribute("columnspacing"));
    return math;
  };
  all("span.math").forEach(node => {
    node.replaceWith(mathml(node.textContent.replace(/^\s*\\\(|\\\)\s*$/g, ""), false));
  });
  all("div.math").forEach(node => {
    const number = node.querySelector(".eqno"), found = /\\\[([^]*)\\\]/.exec(node.textContent);
    const box = page.createElement("div");
    box.className = "math";
    if (node.id) box.id = node.id;
    if (number) box.append(number);
    box.append(mathml(found[1], true));
    node.replaceWith(box);
  });

  // Pictures: rules of a style sheet that are nested stand alone.
  all("svg style").forEach(node => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(node.textContent);
    const flat = rule => [...rule.cssRules].map(inner => inner.selectorText.split(",").map(part =>
      `${rule.selectorText} ${part.trim().replace(/^& ?/, "")}`).join(", ") + ` { ${inner.style.cssText} }`);
    node.textContent = [...sheet.cssRules].flatMap(rule => rule.cssRules.length ? flat(rule) : rule.cssText).join("\n");
  });
  all("img").forEach(node => {
    images.add(new URL(node.getAttribute("src"), address).pathname.slice(1));
    ["loading", "width", "height"].forEach(key => node.removeAttribute(key));
  });

  // Links: to a page of the EPUB, to the web edition, or none.
  all("a[href]").forEach(node => {
    const target = new URL(node.getAttribute("href"), address);
    if (target.origin !== address.origin) return;
    const other = target.pathname.slice(1).replace(/\.html$/, "");
    if (pages.includes(other)) {
      if (other === name && target.hash) node.setAttribute("href", target.hash);
      else {
        const up = "../".repeat(name.split("/").length - 1);
        node.setAttribute("href", `${up}${other}.xhtml${target.hash}`);
      }
    } else if (site) node.setAttribute("href", site + target.pathname.slice(1) + target.hash);
    else node.replaceWith(...node.childNodes);
  });
  all("*").forEach(node => [...node.attributes].forEach(({ name: key }) => {
    if (/^(data-|on|tabindex$)/.test(key)) node.removeAttribute(key);
  }));

  const writer = new XMLSerializer();
  const body = [...article.childNodes].map(node => writer.serializeToString(node)).join("")
    .replaceAll(' xmlns="http://www.w3.org/1999/xhtml"', "");
  return { title: title.textContent.trim(), body, images: [...images], failed };
}
