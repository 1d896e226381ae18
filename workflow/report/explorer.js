// What the page of the explorer does around chemiscope: choices, filters, forces, the address, the values.
(function () {
  "use strict";
  const page = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const by = Object.fromEntries(page.quantities.map((q) => [q.key, q]));
  const values = (key) => page.dataset.properties[by[key].name].values;
  const number = (v) => (v === null || v === undefined ? NaN : v);
  const ids = values("id"), groups = values("group");
  const titles = Object.fromEntries(page.groups.map((g) => [g.key, g.title]));
  const boxes = (id) => Array.from(document.querySelectorAll("#" + id + " input"));
  const checked = (id) => boxes(id).filter((b) => b.checked).map((b) => b.value);
  let view = null, shown = [], current = page.first, busy = false, again = false;

  // numbers of the structures that pass the filters
  function wanted() {
    const of = values(at("of").value), low = at("min").valueAsNumber, high = at("max").valueAsNumber;
    const chosen = new Set(checked("groups").map((key) => titles[key]));
    return ids.map((_, k) => k).filter((k) =>
      chosen.has(groups[k]) && (isNaN(low) || number(of[k]) >= low) && (isNaN(high) || number(of[k]) <= high));
  }

  // arrows of one structure; one that is missing or has no length is drawn so small that no one sees it
  function arrowsOf(flat, size, scale) {
    return Array.from({ length: size }, (_, i) => {
      const vector = flat ? flat.slice(3 * i, 3 * i + 3).map((v) => v * scale) : [0, 0, 0];
      const length = Math.hypot(...vector);
      if (length < 1e-3) return { vector: [1e-3, 0, 0], baseRadius: 1e-4, headRadius: 1e-4, headLength: 1e-4 };
      const width = Math.min(0.07, length / 6);
      return { vector: vector, baseRadius: width, headRadius: 2 * width, headLength: Math.min(4 * width, length / 2) };
    });
  }

  // what chemiscope shows: the structures of these numbers alone
  function restricted(numbers) {
    const scale = at("scale") ? Number(at("scale").value) : 1;
    const sizes = numbers.map((k) => page.dataset.structures[k].size);
    const properties = {}, shapes = {};
    for (const [name, p] of Object.entries(page.dataset.properties)) {
      properties[name] = { ...p, values: numbers.map((k) => (p.values[k] === null ? NaN : p.values[k])) };
    }
    for (const a of page.arrows) {
      const atom = numbers.flatMap((k, j) => arrowsOf(a.vectors[k], sizes[j], scale));
      shapes[label(a)] = { kind: "arrow", parameters: { global: { color: a.colour }, atom: atom } };
    }
    const structures = numbers.map((k) => ({ ...page.dataset.structures[k] }));
    const content = { meta: { name: document.title }, structures: structures, properties: properties };
    if (page.arrows.length) content.shapes = shapes;
    content.settings = settings(numbers);
    return content;
  }

  // chemiscope takes several arrows as one text with commas
  const label = (arrows) => arrows.title.replaceAll(",", "");
  const arrowsShown = () => (page.arrows.length ? checked("arrows") : [])
    .map((key) => label(page.arrows.find((a) => a.key === key))).join(",");

  function settings(numbers) {
    let key = at("color").value;
    if (numbers.every((k) => isNaN(number(values(key)[k])))) key = "number";
    const banded = key === "number" && page.bands;
    const color = { property: by[key].name, palette: banded ? "tab" + page.bands : "viridis" };
    if (banded) Object.assign(color, { min: -0.5, max: page.bands - 0.5 });
    const axis = (id) => ({ property: by[at(id).value].name });
    const map = { x: axis("x"), y: axis("y"), color: color, size: { factor: 35 } };
    const structure = { shape: arrowsShown(), unitCell: page.periodic[numbers[place(numbers)]] };
    return { target: "structure", map: map, pinned: [place(numbers)], structure: [structure] };
  }

  const place = (numbers) => Math.max(0, numbers.indexOf(current));

  function say() {
    const missing = shown.filter((k) => ["x", "y"].some((id) => isNaN(number(values(at(id).value)[k]))));
    let text = shown.length + " of " + ids.length + " structures pass the filters";
    const lack = missing.length + " of them have no value of a chosen axis and are not on the map";
    if (missing.length) text += "; " + lack;
    at("status").textContent = text + ".";
  }

  function digits(value) {
    if (typeof value === "string") return value;
    return isNaN(number(value)) ? "–" : String(Number(value.toPrecision(5))).replace("-", "−");
  }

  // the values of the structure that is shown, which chemiscope calls by its place
  function describe(indexes) {
    current = shown[indexes.structure];
    at("chosen").textContent = ids[current];
    at("find").value = ids[current];
    at("values").replaceChildren(...page.quantities.map((q) => {
      const [row, name, value] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      name.textContent = q.name.replace("/Å", "/\u2060Å");  // a unit is not broken
      if (q.about) name.title = q.about;
      value.textContent = digits(values(q.key)[current]);
      value.dataset.key = q.key;
      if (q.text) value.className = "text";
      row.append(name, value);
      return row;
    }));
    const lacking = page.arrows.filter((a) => !a.vectors[current]).map((a) => a.title);
    const words = "No forces of this structure, and no arrows: " + lacking.join(", ") + ".";
    at("forces").textContent = lacking.length ? words : "";
    remember();
  }

  function select(k) {
    const j = shown.indexOf(k);
    if (j >= 0 && view) view.select(view.indexer.fromEnvironment(j, "structure"));
  }

  async function show() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      do {
        again = false;
        const numbers = wanted();
        if (!numbers.length) {
          at("status").textContent = "No structure passes the filters; the map is as it was before.";
          break;
        }
        if (view) view.remove();
        shown = numbers;
        const start = place(shown);
        const warnings = new Chemiscope.Warnings();
        warnings.defaultTimeout = -1;  // names of structures are no categories, which it would say every time
        view = await Chemiscope.DefaultVisualizer.load(
          { map: "map", structure: "structure", info: "slider", meta: "meta" }, restricted(shown), warnings);
        const original = view.info.show.bind(view.info);
        view.info.show = (indexes) => { original(indexes); describe(indexes); };
        describe({ structure: start });
        follow();
        say();
      } while (again);
    } catch (error) {
      at("status").textContent = "The viewer cannot show this: " + error.message;
      throw error;
    } finally {
      busy = false;
    }
    const option = (k) => Object.assign(document.createElement("option"), { value: ids[k] });
    at("names").replaceChildren(...shown.map(option));
    window.explorer.shows += 1;
  }

  // axes that are chosen in the menu of the viewer are those of the page
  function follow() {
    view.onSettingChange((keys, name) => {
      const id = { "map.x.property": "x", "map.y.property": "y", "map.color.property": "color" }[keys.join(".")];
      const quantity = page.quantities.find((q) => q.name === name && !q.text);
      if (id && quantity && !busy) { at(id).value = quantity.key; say(); remember(); }
    });
  }

  function remember() {
    const all = page.groups.length, some = checked("groups"), words = new URLSearchParams();
    for (const id of ["x", "y", "color"]) words.set(id, at(id).value);
    if (some.length < all) words.set("groups", some.join(","));
    if (page.arrows.length) words.set("arrows", checked("arrows").join(","));
    if (at("min").value || at("max").value) for (const id of ["of", "min", "max"]) words.set(id, at(id).value);
    words.set("id", ids[current]);
    history.replaceState(null, "", "#" + words.toString());
  }

  // choices of an address such as explorer.html#x=window_fraction&y=gain_meV_per_A&groups=id_test
  function obey() {
    const words = new URLSearchParams(location.hash.slice(1));
    for (const id of ["x", "y", "color", "of"]) {
      const key = words.get(id) || (id === "of" ? null : page.start[id]);
      if (by[key] && !by[key].text) at(id).value = key;
      else if (id === "of") at(id).value = at("y").value;
    }
    for (const id of ["min", "max"]) at(id).value = words.get(id) || "";
    for (const id of ["groups", "arrows"]) {
      const named = words.has(id) ? words.get(id).split(",") : null;
      const known = named && boxes(id).some((b) => named.includes(b.value));
      if (known || (named && id === "arrows")) boxes(id).forEach((b) => { b.checked = named.includes(b.value); });
      else if (id === "groups") boxes(id).forEach((b) => { b.checked = true; });
    }
    const k = ids.indexOf(words.get("id"));
    if (k >= 0) current = k;
  }

  function axis(id) {
    if (!view || id === "color") return show();
    view.applySettings({ map: { [id]: { property: by[at(id).value].name } } });
    say();
    remember();
  }

  for (const id of ["x", "y", "color"]) at(id).addEventListener("change", () => axis(id));
  for (const id of ["groups", "of", "min", "max", "scale"]) if (at(id)) at(id).addEventListener("change", show);
  if (at("arrows")) boxes("arrows").forEach((b) => b.addEventListener("change", () => {
    if (view) view.structure.applySettings([{ shape: arrowsShown() }]);
    remember();
  }));
  at("everything").addEventListener("click", () => { boxes("groups").forEach((b) => { b.checked = true; }); show(); });
  at("clear").addEventListener("click", () => { at("min").value = at("max").value = ""; show(); });
  at("find").addEventListener("change", () => select(ids.indexOf(at("find").value)));
  const step = (by) => select(shown[(shown.indexOf(current) + by + shown.length) % shown.length]);
  at("previous").addEventListener("click", () => step(-1));
  at("next").addEventListener("click", () => step(1));
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => { obey(); show(); });

  // for scripts on the page
  window.explorer = {
    page: page, shows: 0, select: select, show: show, get view() { return view; }, get shown() { return shown; },
  };
  obey();
  show();
})();
