"use strict";
const $ = (id) => document.getElementById(id);
const content = JSON.parse($("content").textContent);
const groups = [...new Set(content.points.map((point) => point.group))];
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f4fc9", "#b5b500"];
const state = { measure: 0, row: 0, group: "" };

// Marks differ by shape as well as by colour.
// Eight marks in eight colours; of the next eight the colours are shifted by one, and so on.
function colourOf(number) { return COLOURS[(number + Math.floor(number / 8)) % 8]; }

function mark(number, x, y, r) {
  const turn = (n, from, inner) => [...Array(n).keys()].map((i) => {
    const angle = from + (2 * Math.PI * i) / n, reach = inner && i % 2 ? r * 0.45 : r;
    return `${(x + reach * Math.cos(angle)).toFixed(1)},${(y + reach * Math.sin(angle)).toFixed(1)}`;
  }).join(" ");
  const up = -Math.PI / 2, t = r * 0.38;
  return [
    `<circle cx="${x}" cy="${y}" r="${r}"`,
    `<polygon points="${turn(4, Math.PI / 4)}"`,
    `<polygon points="${turn(3, up)}"`,
    `<polygon points="${turn(4, 0)}"`,
    `<polygon points="${turn(3, -up)}"`,
    `<polygon points="${turn(10, up, true)}"`,
    `<polygon points="${turn(6, 0)}"`,
    `<path d="M${x - r} ${y - t}H${x - t}V${y - r}H${x + t}V${y - t}H${x + r}V${y + t}H${x + t}V${y + r}H${x - t}V${y + t}H${x - r}Z"`,
  ][number % 8];
}

function ends(values) {
  const low = Math.min(...values), high = Math.max(...values);
  // Values that rounding alone tells apart are one.
  const most = Math.max(Math.abs(low), Math.abs(high));
  const wide = high - low > 1e-9 * Math.max(most, 1e-9) ? high - low : most > 1e-9 ? most : 1;
  return [low - wide * 0.05, high + wide * 0.05];
}

// Whole steps of 1, 2 or 5 times a power of ten inside two ends.
function ticks(low, high) {
  const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(Number((i * step).toPrecision(6)));
  return found;
}

function shown(point) { return Number.isFinite(point.values[state.measure]) && point.values[state.measure] !== null; }

function draw() {
  const points = content.points.filter(shown);
  const parts = [];
  if (points.length) {
    const [left, right] = ends(points.map((point) => point.values[state.measure]));
    const [low, high] = ends(content.points.map((point) => point.y));
    const x = (v) => 60 + (560 * (v - left)) / (right - left), y = (v) => 430 - (410 * (v - low)) / (high - low);
    for (const a of ticks(left, right)) {
      parts.push(`<line class="axis" x1="${x(a)}" x2="${x(a)}" y1="20" y2="430"/><text x="${x(a)}" y="448" text-anchor="middle">${a}</text>`);
    }
    for (const b of ticks(low, high)) {
      parts.push(`<line class="axis" x1="60" x2="620" y1="${y(b)}" y2="${y(b)}"/><text x="54" y="${y(b) + 4}" text-anchor="end">${b}</text>`);
    }
    for (const point of points) {
      const index = content.points.indexOf(point), number = groups.indexOf(point.group);
      const kind = ["mark", index === state.row ? "on" : "", state.group && point.group !== state.group ? "other" : ""].join(" ");
      parts.push(`${mark(number, x(point.values[state.measure]), y(point.y), index === state.row ? 9 : 6)} class="${kind}" fill="${colourOf(number)}" data-row="${index}"><title></title></${mark(number, 0, 0, 1).slice(1).split(" ")[0]}>`);
    }
    parts.push(`<text x="340" y="472" text-anchor="middle" class="label"></text><text x="-225" y="16" text-anchor="middle" transform="rotate(-90)" class="label"></text>`);
  }
  $("scatter").innerHTML = parts.join("");
  const labels = $("scatter").querySelectorAll(".label");
  if (labels.length) { labels[0].textContent = content.measures[state.measure]; labels[1].textContent = content.ylabel; }
  for (const one of $("scatter").querySelectorAll(".mark")) {
    const point = content.points[one.dataset.row];
    one.querySelector("title").textContent = point.name;
    one.addEventListener("click", () => choose(Number(one.dataset.row)));
  }
}

function text(tag, words) { const one = document.createElement(tag); one.textContent = words; return one; }

function choose(row) {
  state.row = row;
  $("row").value = row;
  const point = content.points[row];
  const values = content.measures.map((name, i) => `${name} ${point.values[i] === null ? "not known" : Number(point.values[i].toPrecision(2))}`);
  const parts = [text("h2", point.name), text("p", `${point.group}; ${content.ylabel} ${point.y.toFixed(2)}. ${point.said}`), text("p", `${values.join("; ")}.`)];
  for (const frame of point.frames) {
    const row = document.createElement("div");
    row.className = "frames";
    for (const [camera, picture] of Object.entries(frame)) {
      const figure = document.createElement("figure"), image = document.createElement("img");
      image.src = `data:image/webp;base64,${picture}`;
      image.alt = `${point.name}, camera ${camera}`;
      figure.append(image, text("figcaption", camera));
      row.append(figure);
    }
    parts.push(row);
  }
  $("chosen").replaceChildren(...parts);
  draw();
}

content.measures.forEach((name, i) => $("measure").add(new Option(name, i)));
groups.forEach((name, i) => {
  $("group").add(new Option(name, name));
  const item = document.createElement("li");
  item.innerHTML = `<svg viewBox="0 0 12 12">${mark(i, 6, 6, 5.5)} fill="${colourOf(i)}"/></svg>`;
  item.append(name);
  $("legend").append(item);
});
content.points.forEach((point, i) => $("row").add(new Option(point.name, i)));
$("measure").addEventListener("change", () => { state.measure = Number($("measure").value); draw(); });
$("group").addEventListener("change", () => { state.group = $("group").value; draw(); });
$("row").addEventListener("input", () => choose(Number($("row").value)));
choose(0);
document.body.dataset.ready = "yes";
