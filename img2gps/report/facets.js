// Filters with live counts: each value says how many photos it would show, given the other filters.

class Facets {
  /**
   * `specs`: [{key, label, values, bits?}] for chips (a column holds an index into `values`, or bits over them where
   * `bits`), or {key, label, unit, most} for a slider "at least". `onChange()` runs after every change.
   */
  constructor(root, specs, columns, count, onChange) {
    this.columns = columns;
    this.count = count;
    this.onChange = onChange;
    this.facets = specs.map((spec) => ({ ...spec, chosen: new Set(), least: 0, chips: [] }));
    root.append(...this.facets.map((facet) => (facet.values ? this.chips(facet) : this.slider(facet))));
    this.apply();
  }

  chips(facet) {
    const list = element("div", { class: "chips" });
    facet.values.forEach((value, index) => {
      const number = element("span", { class: "count" });
      const toggle = () => {
        if (!facet.chosen.delete(index)) facet.chosen.add(index);
        chip.setAttribute("aria-pressed", facet.chosen.has(index));
        this.apply();
      };
      const chip = element("button", { type: "button", class: "chip", "aria-pressed": "false", on: { click: toggle } });
      if (facet.swatch) chip.append(element("span", { class: `swatch ${facet.swatch}-${index % 6}` }));
      chip.append(element("span", { text: value }), number);
      chip.dataset.value = value;
      facet.chips.push({ chip, number });
      list.append(chip);
    });
    return this.fieldset(facet, list);
  }

  slider(facet) {
    const shown = element("output", { text: `0 ${facet.unit}` });
    const change = (event) => {
      facet.least = Number(event.target.value);
      shown.textContent = `${facet.least} ${facet.unit}`;
      this.apply();
    };
    const most = Math.max(1, Math.ceil(facet.most));
    const input = element("input", { type: "range", min: 0, max: most, value: 0, "aria-label": facet.label, on: { input: change } });
    facet.input = input;
    facet.output = shown;
    return this.fieldset(facet, element("div", { class: "slider" }, input, shown));
  }

  fieldset(facet, content) {
    const made = element("fieldset", {}, element("legend", { text: facet.label }), content);
    made.dataset.facet = facet.key;
    return made;
  }

  passes(facet, index) {
    const value = this.columns[facet.key][index];
    if (!facet.values) return facet.least === 0 || value >= facet.least;
    if (facet.chosen.size === 0) return true;
    if (!facet.bits) return facet.chosen.has(value);
    for (const bit of facet.chosen) if (value & (1 << bit)) return true;
    return false;
  }

  /** Take all filters off. */
  clear() {
    for (const facet of this.facets) {
      facet.chosen.clear();
      facet.least = 0;
      for (const { chip } of facet.chips) chip.setAttribute("aria-pressed", "false");
      if (facet.input) {
        facet.input.value = 0;
        facet.output.textContent = `0 ${facet.unit}`;
      }
    }
    this.apply();
  }

  get active() {
    return this.facets.some((facet) => facet.chosen.size > 0 || facet.least > 0);
  }

  /** Work out which photos pass, count every chip, and tell the page. */
  apply() {
    const totals = this.facets.map((facet) => new Array(facet.values ? facet.values.length : 0).fill(0));
    this.shown = [];
    for (let i = 0; i < this.count; i++) {
      const failed = this.facets.flatMap((facet, f) => (this.passes(facet, i) ? [] : [f]));
      if (failed.length === 0) this.shown.push(i);
      if (failed.length > 1) continue;
      this.facets.forEach((facet, f) => {
        // a photo counts for a chip when no other facet keeps it out
        if (failed.length === 0 || failed[0] === f) this.tally(facet, totals[f], i);
      });
    }
    this.facets.forEach((facet, f) => this.write(facet, totals[f]));
    this.onChange(this);
  }

  tally(facet, total, index) {
    const value = this.columns[facet.key][index];
    if (!facet.values || value === null) return;
    if (!facet.bits) total[value] += 1;
    else for (let bit = 0; bit < total.length; bit++) if (value & (1 << bit)) total[bit] += 1;
  }

  write(facet, total) {
    facet.chips.forEach(({ chip, number }, index) => {
      number.textContent = total[index].toLocaleString("en");
      chip.classList.toggle("empty", total[index] === 0);
    });
  }
}
