// Draws the figures of the page from their data, which are figure.Figure of package
// analysis/figure as JSON. Package draw puts the same data on paper.
//
// Axes are transformed here, and not by the library: a logarithmic axis is a linear one
// of logarithms with labels of our own, since the library labels whole decades alone.
"use strict";
(() => {

const dark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;

// Colours as on paper; on dark ground lighter ones of the same hues.
const themes = {
  light: {
    ink: "#1f2328", muted: "#59636e", grey: "#8c8c8c", rule: "#e3e6e9", paper: "#ffffff",
    series: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"],
    ramp: ["#440154", "#46337e", "#365c8d", "#277f8e", "#1fa187", "#4ab86e", "#8fc42f"],
  },
  dark: {
    ink: "#e2e6ea", muted: "#9aa4ae", grey: "#8a929a", rule: "#2c3238", paper: "#14171a",
    series: ["#4aa8e0", "#ff8a3d", "#2fc79b", "#e39ac4", "#f2b632", "#8fd0f5", "#ffffff"],
    ramp: ["#7d68c9", "#5f84d6", "#4a9fd6", "#3fbcbf", "#5fd39a", "#a6e06a", "#e6e04a"],
  },
};

function colorOf(theme, color) {
  switch (color.role) {
    case "series": return theme.series[(color.index || 0) % theme.series.length];
    case "ramp": return along(theme.ramp, color.of > 1 ? (color.index || 0) / (color.of - 1) : 0.3);
    case "muted": return theme.grey;
  }
  return theme.ink;
}

// along mixes the two colours of a ramp that lie around share.
function along(ramp, share) {
  const t = share * (ramp.length - 1), k = Math.min(Math.floor(t), ramp.length - 2);
  const part = (c, i) => parseInt(c.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mix = i => Math.round(part(ramp[k], i) + (t - k) * (part(ramp[k + 1], i) - part(ramp[k], i)));
  return `rgb(${mix(0)},${mix(1)},${mix(2)})`;
}

// number has four significant digits, as the page's tables.
function number(v) {
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a < 1e-4) return v.toExponential(3);
  return v.toFixed(Math.max(0, 3 - Math.floor(Math.log10(Number(a.toExponential(3))))));
}

// unitOf takes "decode latency (ms)" apart.
function unitOf(label) {
  const m = /^(.*) \(([^()]*)\)$/.exec(label);
  return m ? [m[1], " " + m[2]] : [label, ""];
}

const escaped = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = s => String(s).replace(/[&<>"']/g, c => escaped[c]);

// Scale turns values of an axis into places of a linear axis, and back into labels.
class Scale {
  constructor(axis, log) {
    this.log = log;
    this.falls = axis.falls;
    if (log === Boolean(axis.log)) [this.min, this.max] = [axis.min, axis.max];
    else if (log) [this.min, this.max] = [axis.min > 0 ? axis.min : axis.max / 100, axis.max];
    else [this.min, this.max] = [Math.min(0, axis.min), axis.max];
  }
  at(v) { return this.log ? Math.log10(v) : v; }
  // within bounds a value to the axis: what lies beyond is drawn along its edge.
  within(v) { return this.at(Math.min(Math.max(v, this.min), this.max)); }
  ticks() { return this.log ? this.logTicks() : this.linearTicks(); }
  // Decades where there are enough of them, else finer ones.
  logTicks() {
    const sets = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9]];
    let found = [];
    for (let i = 0; i < sets.length; i++) {
      found = [];
      for (let e = Math.floor(Math.log10(this.min)); e <= Math.ceil(Math.log10(this.max)); e++)
        for (const m of sets[i]) {
          const v = Number(m + "e" + e);
          if (v >= this.min * (1 - 1e-9) && v <= this.max * (1 + 1e-9)) found.push(v);
        }
      if (found.length >= 4 || found.length === 3 && (i === 0 || i === 3)) break;
    }
    const step = 1 + Math.floor((found.length - 1) / 9);
    return found.filter((_, i) => i % step === 0);
  }
  linearTicks() {
    let step = 0;
    for (let e = -12; !step; e++)
      for (const m of [1, 2, 5])
        if (!step && (this.max - this.min) / Number(m + "e" + e) <= 7 && !(this.falls && e < 0)) step = Number(m + "e" + e); // places are whole
    const found = [];
    for (let k = Math.ceil(this.min / step - 1e-9); k * step <= this.max + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
    return found;
  }
}

const label = v => Math.abs(v) >= 10000 ? v.toLocaleString("en-US") : String(v);

// carried says where x lies on the other axis: where the points do, and between them on
// straight lines of logarithms. The other never falls.
function carried(points) {
  const pairs = points.filter(p => p.other > 0 && p.x > 0).map(p => [Math.log(p.x), Math.log(p.other)]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  for (let i = 1; i < pairs.length; i++) pairs[i][1] = Math.max(pairs[i][1], pairs[i - 1][1]);
  return x => {
    const at = Math.log(x);
    let i = 1;
    while (i < pairs.length - 1 && pairs[i][0] < at) i++;
    const [a, b] = [pairs[i - 1], pairs[i]];
    if (a[0] === b[0]) return Math.exp(a[1]);
    return Math.exp(a[1] + (at - a[0]) * (b[1] - a[1]) / (b[0] - a[0]));
  };
}

const symbols = { circle: "circle", square: "rect", triangle: "triangle", diamond: "diamond", cross: "path://M0,0L8,8M0,8L8,0" };
const dashOf = look => look.dashes_pt || "solid";
const textWidth = s => 6.4 * s.length; // about, at 11 px

class Chart {
  constructor(box) {
    this.box = box;
    this.plot = box.querySelector(".plot");
    this.figure = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
    this.hidden = new Set(); // names of layers
    this.logX = Boolean(this.figure.x.log);
    this.logY = this.figure.panels.map(p => Boolean(p.y.log));
    this.overOther = false;
    const points = this.figure.panels.flatMap(p => p.layers.flatMap(l => l.points || []));
    this.carry = carried(points);
    this.pairs = new Set(points.filter(p => p.other > 0 && p.x > 0).map(p => p.x)).size;
    this.controls();
    this.chart = null;
    this.at = null; // the point on which the keyboard stands
    // An application: a screen reader hands its arrows on to it.
    for (const [k, v] of [["tabindex", 0], ["role", "application"], ["aria-roledescription", "chart"], ["aria-label", this.plot.getAttribute("aria-label") + " The arrow keys go from point to point."]])
      this.plot.setAttribute(k, v);
    this.plot.addEventListener("keydown", e => this.key(e));
    this.plot.addEventListener("blur", () => this.chart?.dispatchAction({ type: "hideTip" }));
    new ResizeObserver(() => this.draw()).observe(this.plot); // of a fold: when it opens
  }

  // controls are the legend, whose entries hide and show layers, and the axes' switches.
  controls() {
    const legend = element("div", "legend"), tools = element("div", "tools");
    for (const [e, name] of [[legend, "Legend"], [tools, "Axes"]]) {
      e.setAttribute("role", "group");
      e.setAttribute("aria-label", name);
    }
    const names = new Set(this.figure.panels.flatMap(p => p.layers.map(l => l.name)));
    this.samples = [];
    for (const key of this.figure.legend || []) {
      const entry = element(names.has(key.text) ? "button" : "span", "key");
      const sample = element("span", "sample");
      entry.append(sample, key.text);
      this.samples.push(() => sample.replaceChildren(drawSample(key, this.theme())));
      if (names.has(key.text)) toggle(entry, true, on => { on ? this.hidden.delete(key.text) : this.hidden.add(key.text); this.draw(); });
      legend.append(entry);
    }
    const button = (text, on, change) => {
      const b = element("button");
      b.append(text);
      toggle(b, on, on => { change(on); this.draw(); });
      tools.append(b);
    };
    const logable = a => !a.falls && (a.log || a.min > 0);
    if (logable(this.figure.x)) button("log x", this.logX, on => this.logX = on);
    this.figure.panels.forEach((p, i) => {
      const which = this.figure.panels.length > 1 ? ["log y above", "log y below"][i] : "log y";
      if (logable(p.y)) button(which, this.logY[i], on => this.logY[i] = on);
    });
    if (this.figure.other && this.pairs > 1) button("over " + unitOf(this.figure.other.label)[0], false, on => this.overOther = on);
    if (tools.childElementCount) this.plot.before(tools);
    if (legend.childElementCount) this.plot.after(legend);
  }

  theme() { return themes[dark.matches && !printing ? "dark" : "light"]; }

  placeX(v) { return this.overOther ? this.carry(v) : v; }
  pointX(p) { return this.overOther && p.other > 0 ? p.other : this.placeX(p.x); }

  // lineOf is a layer's line; one that joins the points joins them on the other axis too.
  lineOf(layer) {
    const line = layer.line || [], points = layer.points || [];
    if (this.overOther && points.length === line.length && line.every((p, i) => p.x === points[i].x && p.y === points[i].y))
      return points.map(p => [this.pointX(p), p.y]).sort((a, b) => a[0] - b[0]);
    return line.map(p => [this.placeX(p.x), p.y]);
  }

  draw() {
    const width = printing ? 660 : this.plot.clientWidth;
    if (!width) return; // in a closed fold
    const f = this.figure, two = f.panels.length > 1, narrow = width < 520;
    const height = Math.round(Math.min(Math.max(width * 0.5, 300), two ? 380 : 420)) * (two ? 1.45 : 1);
    this.plot.style.height = height + "px";
    if (this.chart) this.chart.resize({ width, height });
    else this.chart = echarts.init(this.plot, null, { renderer: "svg", width, height });
    const theme = this.theme();
    this.samples.forEach(f => f());
    this.x = new Scale(this.overOther ? f.other : f.x, this.logX);
    this.shown = [];
    this.lines = [];
    const ends = f.panels.flatMap(p => p.layers.map(l => l.end || ""));
    const right = 14 + Math.min(textWidth(ends.reduce((a, b) => a.length > b.length ? a : b, "")), width * 0.3);
    const option = { animation: false, backgroundColor: "transparent", textStyle: { fontFamily: "inherit" }, grid: [], xAxis: [], yAxis: [], series: [], tooltip: this.tooltip(theme), graphic: [] };
    this.y = f.panels.map((p, i) => new Scale(p.y, this.logY[i]));
    const left = 34 + Math.max(...this.y.map(y => Math.max(...y.ticks().map(v => textWidth(label(v))))));
    f.panels.forEach((panel, i) => {
      const last = i === f.panels.length - 1;
      option.grid.push({ left, right, top: two && i ? "58%" : 12, bottom: last ? 46 : "48%", outerBoundsMode: "none" });
      const axis = (scale, name, gap) => ({
        type: "value", gridIndex: i, min: scale.at(scale.min), max: scale.at(scale.max), inverse: Boolean(scale.falls),
        name, nameLocation: "middle", nameGap: gap, nameTextStyle: { color: theme.ink, fontSize: 12 },
        axisLine: { show: true, onZero: false, lineStyle: { color: theme.grey } }, splitLine: { show: true, lineStyle: { color: theme.rule } },
        axisTick: { show: true, lineStyle: { color: theme.grey }, customValues: scale.ticks().map(v => scale.at(v)) },
        axisLabel: { color: theme.ink, fontSize: 11, customValues: scale.ticks().map(v => scale.at(v)), hideOverlap: true,
          formatter: v => label(Number((scale.log ? 10 ** v : v).toPrecision(6))) },
      });
      option.xAxis.push(axis(this.x, last ? (this.overOther ? f.other : f.x).label : "", 28));
      option.yAxis.push(axis(this.y[i], panel.y.label, left - 20));
      this.layers(option, panel, i, theme);
    });
    this.chart.setOption(option, { notMerge: true });
    this.chart.setOption({ graphic: [...this.bands(theme), ...(narrow ? [] : this.names(theme))] });
    // The library's drawing takes the width that print gives it.
    const svg = this.plot.querySelector("svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  }

  // layers adds the series of a panel: lines, then whiskers, then points over all.
  layers(option, panel, at, theme) {
    const y = this.y[at], axes = { xAxisIndex: at, yAxisIndex: at, emphasis: { disabled: true } };
    const place = (x, v) => [this.x.at(x), y.at(v)];
    let row = 0; // of crosses along the upper edge
    for (const layer of panel.layers) {
      if (this.hidden.has(layer.name)) continue;
      const color = colorOf(theme, layer.look.color), width = layer.look.width_pt ? 1.2 * layer.look.width_pt : 1.4;
      let line = this.lineOf(layer).map(p => place(...p));
      if (layer.level !== undefined) line = [this.x.min, this.x.max].map(x => place(x, layer.level));
      if (line.length) {
        this.lines.push({ at, line });
        option.series.push({
          ...axes, type: "line", data: line, silent: true, showSymbol: false, z: 3, clip: true, lineStyle: { color, width, type: dashOf(layer.look) },
          endLabel: { show: Boolean(layer.end), formatter: () => layer.end, color: layer.level !== undefined ? theme.muted : color, fontSize: 11, width: 200, overflow: "truncate" },
          labelLayout: { moveOverlap: "shiftY" },
        });
      }
      const points = (layer.points || []).filter(p => p.y > 0 || !y.log);
      const whiskers = points.filter(p => (p.high || 0) > (p.low || 0));
      if (whiskers.length) option.series.push({
        ...axes, type: "line", silent: true, z: 4, connectNulls: false, symbol: "rect", symbolSize: [6, 1.2], showSymbol: true, clip: true, itemStyle: { color }, lineStyle: { color, width: 1.1 },
        data: whiskers.flatMap(p => [[this.x.at(this.pointX(p)), y.within(p.low || 0)], [this.x.at(this.pointX(p)), y.within(p.high)], [null, null]]),
      });
      if (points.length) {
        const series = option.series.length;
        option.series.push({
          ...axes, type: "scatter", z: 5, symbol: symbols[layer.look.shape] || "circle", symbolSize: layer.look.shape === "triangle" ? 10 : 8.5, cursor: "pointer",
          data: points.map((p, i) => {
            this.shown.push({ at, series, index: i, panel, layer, point: p, x: this.pointX(p) });
            return { value: place(this.pointX(p), p.y), itemStyle: markStyle(layer.look, color, p.hollow, theme) };
          }),
        });
      }
      if (layer.beyond) {
        const up = 1 - (0.03 + 0.035 * row++);
        const edge = y.at(y.min) + up * (y.at(y.max) - y.at(y.min));
        option.series.push({
          ...axes, type: "scatter", z: 5, symbol: symbols.cross, symbolSize: 8, itemStyle: markStyle({ shape: "cross" }, color, false, theme), silent: true,
          data: layer.beyond.map(x => [this.x.at(this.placeX(x)), edge]),
        });
      }
    }
    this.shown.sort((a, b) => a.x - b.x);
  }

  // pixel is where a place of a panel's axes lies.
  pixel(at, place) { return this.chart.convertToPixel({ xAxisIndex: at, yAxisIndex: at }, place); }

  // names are those of points that have room beside them: over no point, whisker or other
  // name, and over no line if that can be.
  names(theme) {
    const out = [];
    this.y.forEach((y, at) => {
      const [left, bottom] = this.pixel(at, [this.x.at(this.x.min), y.at(y.min)]), [right, top] = this.pixel(at, [this.x.at(this.x.max), y.at(y.max)]);
      const mine = this.shown.filter(s => s.at === at), taken = [];
      for (const s of mine) {
        const [x, py] = this.pixel(at, [this.x.at(s.x), y.at(s.point.y)]);
        s.pixel = [x, py];
        taken.push([x - 5, py - 5, x + 5, py + 5]);
        if ((s.point.high || 0) > (s.point.low || 0)) taken.push([x - 3, this.pixel(at, [this.x.at(s.x), y.within(s.point.high)])[1], x + 3, this.pixel(at, [this.x.at(s.x), y.within(s.point.low || 0)])[1]]);
      }
      const lines = this.lines.filter(l => l.at === at).map(l => l.line.map(p => this.pixel(at, p)));
      for (const { point, pixel: [x, py] } of mine) {
        if (!point.named) continue;
        const w = 0.95 * textWidth(point.name), h = 11;
        let best = null, least = Infinity;
        beside.forEach(([dx, dy], i) => {
          for (const far of [7, 16]) {
            const cx = x + dx * (far + w / 2), cy = py + dy * (far + h / 2 - 3), box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
            if (box[0] < left || box[2] > right || box[1] < top || box[3] > bottom || taken.some(t => meet(box, t))) continue;
            const cost = i + far + 30 * lines.filter(l => crosses(l, box)).length;
            if (cost < least) [best, least] = [box, cost];
          }
        });
        if (!best) continue;
        taken.push(best);
        out.push({ type: "text", silent: true, z: 6, x: best[0], y: best[1], style: { text: point.name, fill: theme.ink, fontSize: 10.5, fontFamily: "inherit", stroke: theme.paper, lineWidth: 2 } });
      }
    });
    return out;
  }

  // bands are drawn over the axes, once these have their places.
  bands(theme) {
    const graphic = [];
    this.figure.panels.forEach((panel, at) => {
      for (const layer of panel.layers) {
        if (!layer.band || this.hidden.has(layer.name)) continue;
        const pixel = (x, v) => this.pixel(at, [this.x.within(x), this.y[at].within(v)]);
        const band = layer.band.map(r => [this.placeX(r.x), r.low, r.high]);
        graphic.push({
          type: "polygon", silent: true, z: 1,
          shape: { points: [...band.map(r => pixel(r[0], r[2])), ...band.reverse().map(r => pixel(r[0], r[1]))] },
          style: { fill: colorOf(theme, layer.look.color), opacity: layer.look.color.role === "ramp" ? 0.14 : 0.18 },
        });
      }
    });
    return graphic;
  }

  tooltip(theme) {
    return {
      trigger: "item", confine: true, className: "tip", transitionDuration: 0, backgroundColor: theme.paper, borderColor: theme.grey, textStyle: { color: theme.ink, fontSize: 12 },
      formatter: at => {
        const s = this.shown.find(s => s.series === at.seriesIndex && s.index === at.dataIndex);
        return s ? this.facts(s).map(([k, v]) => k ? `${escape(k)}: <b>${escape(v)}</b>` : `<b>${escape(v)}</b>`).join("<br>") : "";
      },
    };
  }

  // facts are what is known of a point, as pairs of name and value.
  facts({ panel, layer, point: p }) {
    const [y, unit] = unitOf(panel.y.label), axis = this.overOther ? this.figure.other : this.figure.x;
    const [x, unitX] = unitOf(axis.label);
    const out = [["", p.name || layer.name || y]];
    if (layer.name && layer.name !== p.name) out.push(["in", layer.name]);
    out.push([y, number(p.y) + unit]);
    if ((p.high || 0) > (p.low || 0)) out.push([layer.reach || "95 % interval", `${number(p.low || 0)} to ${number(p.high)}${unit}`]);
    out.push([x, number(this.pointX(p)) + unitX]);
    if (p.n) out.push([p.of, p.n]);
    else if (p.of) out.push(["from", p.of]);
    if (p.verdict) out.push(["verdict", p.verdict]);
    if (p.note) out.push(p.note.split(/: (.*)/).slice(0, 2));
    return out;
  }

  // key lets the arrows walk over the points that show, in the order of x.
  key(e) {
    if (e.key === "Escape") this.chart.dispatchAction({ type: "hideTip" });
    const n = this.shown.length, was = this.shown.findIndex(s => s.point === this.at);
    const to = { ArrowRight: was + 1, ArrowLeft: was < 0 ? n - 1 : was - 1, Home: 0, End: n - 1 }[e.key];
    if (to === undefined || !n) return;
    e.preventDefault();
    const s = this.shown[(to + n) % n];
    this.at = s.point;
    this.chart.dispatchAction({ type: "showTip", seriesIndex: s.series, dataIndex: s.index });
    this.box.querySelector(".said").textContent = this.facts(s).map(([k, v]) => k ? `${k} ${v}` : v).join(", ");
  }
}

// beside are the directions in which a name is tried, the best first.
const beside = [[1, 1], [1, 0], [1, -1], [-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1]];

// meet is whether two boxes of left, top, right and bottom lie over each other.
const meet = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

// crosses is whether a line runs through a box (Liang and Barsky 1984).
function crosses(line, [left, top, right, bottom]) {
  return line.some(([x, y], i) => {
    if (!i) return false;
    const [x0, y0] = line[i - 1], dx = x - x0, dy = y - y0;
    let from = 0, to = 1;
    for (const [p, q] of [[-dx, x0 - left], [dx, right - x0], [-dy, y0 - top], [dy, bottom - y0]]) {
      if (p === 0 && q < 0) return false;
      if (p < 0) from = Math.max(from, q / p);
      if (p > 0) to = Math.min(to, q / p);
    }
    return from <= to;
  });
}

function markStyle(look, color, hollow, theme) {
  if (look.shape === "cross") return { color: "transparent", borderColor: color, borderWidth: hollow ? 1 : 1.8 };
  return { opacity: 1, borderColor: color, ...(hollow ? { color: theme.paper, borderWidth: 1.7 } : { color, borderWidth: 0 }) };
}

function element(tag, className) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (tag === "button") e.type = "button";
  return e;
}

// toggle makes a button that is pressed or not.
function toggle(button, on, change) {
  button.setAttribute("aria-pressed", on);
  button.addEventListener("click", () => {
    on = !on;
    button.setAttribute("aria-pressed", on);
    change(on);
  });
}

// drawSample is the legend's picture of a layer.
function drawSample(key, theme) {
  const color = colorOf(theme, key.look.color), look = key.look;
  const svg = (tag, attributes) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    return e;
  };
  const out = svg("svg", { width: 26, height: 12, "aria-hidden": "true" });
  if (key.band) out.append(svg("rect", { width: 26, height: 12, fill: color, opacity: 0.2 }));
  if (key.line) out.append(svg("path", { d: "M0,6H26", stroke: color, "stroke-width": look.width_pt || 1.4, "stroke-dasharray": (look.dashes_pt || []).join(" ") }));
  if (key.whisker) out.append(svg("path", { d: "M13,0V12M10,0.5H16M10,11.5H16", stroke: color, fill: "none" }));
  if (key.point) {
    const shapes = { square: "M9,2H17V10H9Z", triangle: "M13,1L18,10H8Z", diamond: "M13,1L18,6L13,11L8,6Z", cross: "M9,2L17,10M9,10L17,2" };
    const open = key.hollow || look.shape === "cross";
    out.append(svg("path", { d: shapes[look.shape] || "M9,6a4,4 0 1,0 8,0a4,4 0 1,0 -8,0Z", fill: open ? theme.paper : color, stroke: color, "stroke-width": open ? 1.7 : 0 }));
  }
  return out;
}

const charts = [...document.querySelectorAll("figure.chart")].map(box => new Chart(box));
dark.addEventListener("change", () => charts.forEach(c => c.draw()));
const print = on => () => { printing = on; charts.forEach(c => c.draw()); };
addEventListener("beforeprint", print(true));
addEventListener("afterprint", print(false));

})();
