"use strict";
const KINDS = { uint8: Uint8Array, int16: Int16Array, float32: Float32Array };
const REGION_NAMES = ["nuisance", "support", "action"];
const $ = (id) => document.getElementById(id);
const content = JSON.parse($("content").textContent);
const HINT = $("hover").textContent;
const MOST_LINES = 4; // of shares over time; more cannot be told apart
const state = {
  episode: 0, method: 0, frame: 0, timer: null, hidden: new Set(), off: new Set(),
  at: null, // the pixel that the keyboard reads: view, row, column
  last: null, // the pixel that was read last, by whatever means: it is read anew in every frame
};
let shown = null; // the episode that is open, its arrays unpacked

async function unpacked(packed) {
  if (!packed) return null;
  const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  return { shape: packed.shape, data: new KINDS[packed.type](buffer) };
}

async function opened(episode) {
  const cameras = [];
  for (const camera of episode.cameras) {
    const [valid, regions, players] = await Promise.all(
      [camera.valid, camera.regions, camera.players].map(unpacked));
    cameras.push({ ...camera, valid, regions, players, decoded: new Map() });
  }
  const methods = [];
  for (const method of episode.methods) {
    const [cells, stderr] = await Promise.all([method.cells, method.stderr].map(unpacked));
    methods.push({ ...method, cells, stderr });
  }
  let players = null;
  if (episode.players) {
    const [share, stderr] = await Promise.all(
      [episode.players.share, episode.players.stderr].map(unpacked));
    players = { names: episode.players.names, share, stderr };
  }
  const chance = await unpacked(episode.chance), random = [];
  for (const own of episode.random) {
    const [low, high] = await Promise.all([own.low, own.high].map(unpacked));
    random.push({ ...own, low, high });
  }
  return { ...episode, cameras, methods, players, chance, random, ratios: new Map() };
}

// Bilinear with half-pixel centres, as iss_jax.masks.upsample.
function weights(cells, pixels) {
  const low = new Int32Array(pixels), high = new Int32Array(pixels), part = new Float32Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const at = Math.min(Math.max(((i + 0.5) * cells) / pixels - 0.5, 0), cells - 1);
    low[i] = Math.floor(at);
    high[i] = Math.min(low[i] + 1, cells - 1);
    part[i] = at - low[i];
  }
  return { low, high, part };
}

function upsampled(array, t, view, height, width) {
  const [, views, rows, columns] = array.shape;
  const start = (t * views + view) * rows * columns;
  const y = weights(rows, height), x = weights(columns, width);
  const out = new Float32Array(height * width);
  for (let i = 0; i < height; i++) {
    const top = start + y.low[i] * columns, bottom = start + y.high[i] * columns, q = y.part[i];
    for (let j = 0; j < width; j++) {
      const a = array.data[top + x.low[j]], b = array.data[top + x.high[j]];
      const c = array.data[bottom + x.low[j]], d = array.data[bottom + x.high[j]];
      const p = x.part[j];
      out[i * width + j] = (a * (1 - p) + b * p) * (1 - q) + (c * (1 - p) + d * p) * q;
    }
  }
  return out;
}

function mapsOf(t) {
  const method = shown.methods[state.method];
  if (!method) return null; // players alone
  return shown.cameras.map((camera, view) =>
    upsampled(method.cells, t, view, camera.height, camera.width));
}

// The most salient k % of the pixels of all cameras; ties in the episode's order of cameras, then of
// pixels, as iss_jax.critical. `reason` says why there is no ratio.
function critical(maps, t, k) {
  const scores = [];
  let broken = false;
  shown.cameras.forEach((camera, view) => {
    const start = t * camera.height * camera.width;
    for (let i = 0; i < maps[view].length; i++) {
      if (!camera.valid.data[start + i]) continue;
      scores.push(maps[view][i]);
      broken = broken || Number.isNaN(maps[view][i]);
    }
  });
  if (broken) return { inside: maps.map((map) => new Uint8Array(map.length)), size: 0, reason: "a score is NaN" };
  const sorted = Float32Array.from(scores).sort();
  const size = Math.ceil((sorted.length * k) / 100 - 1e-9);
  const threshold = sorted[sorted.length - size];
  let above = 0;
  for (let i = sorted.length - 1; i >= 0 && sorted[i] > threshold; i--) above++;
  let ties = size - above;
  const tied = above === 0 && size < sorted.length && sorted[sorted.length - size - 1] === threshold;
  const inside = maps.map((map) => new Uint8Array(map.length));
  for (const view of shown.order) {
    const camera = shown.cameras[view], start = t * camera.height * camera.width, out = inside[view];
    for (let i = 0; i < out.length; i++) {
      if (!camera.valid.data[start + i]) continue;
      if (maps[view][i] > threshold) out[i] = 1;
      else if (maps[view][i] === threshold && ties > 0) { out[i] = 1; ties--; }
    }
  }
  return { inside, size, reason: tied ? "the most salient pixels tie with others" : "" };
}

function ratioOf(found, t) {
  if (found.reason || shown.cameras.some((camera) => !camera.regions)) return NaN;
  let nuisance = 0;
  shown.cameras.forEach((camera, view) => {
    const start = t * camera.height * camera.width;
    for (let i = 0; i < found.inside[view].length; i++) {
      if (found.inside[view][i] && camera.regions.data[start + i] === 0) nuisance++;
    }
  });
  return nuisance / found.size;
}

// NMR of every frame at one k and method, NaN where it is not counted yet. A long episode takes
// seconds, so that frames are counted between two other things that the page does.
function ratios(k) {
  const name = `${state.method} ${k}`, own = shown;
  if (!own.ratios.has(name)) own.ratios.set(name, { values: own.times.map(() => NaN), next: 0, running: false });
  const found = own.ratios.get(name);
  const goOn = () => {
    if (shown !== own || `${state.method} ${Number($("k").value)}` !== name) { found.running = false; return; }
    const until = performance.now() + 30;
    while (found.next < own.times.length && performance.now() < until) {
      found.values[found.next] = ratioOf(critical(mapsOf(found.next), found.next, k), found.next);
      found.next++;
    }
    if (found.next < own.times.length) setTimeout(goOn); else found.running = false;
    drawCurve(state.frame, k);
  };
  if (!found.running && found.next < own.times.length) { found.running = true; setTimeout(goOn); }
  return found.values;
}

function picture(camera, t) {
  if (!camera.decoded.has(t)) {
    const image = new Image();
    image.src = `data:image/webp;base64,${camera.frames[t]}`;
    camera.decoded.set(t, image.decode().then(() => image));
  }
  return camera.decoded.get(t);
}

function colour(value) { // -1 to 1: blue over nothing to red
  const strength = Math.min(Math.abs(value), 1);
  return value < 0 ? [40, 90, 220, strength] : [215, 35, 30, strength];
}

function scaleOf(maps, t) {
  let sum = 0, count = 0, limit = 0;
  const each = (what) => shown.cameras.forEach((camera, view) => {
    const start = t * camera.height * camera.width;
    maps[view].forEach((value, i) => { if (camera.valid.data[start + i]) what(value); });
  });
  each((value) => { sum += value; count++; });
  const mean = sum / Math.max(count, 1);
  each((value) => { limit = Math.max(limit, Math.abs(value - mean)); });
  return { mean, limit };
}

async function draw() {
  const own = shown, t = state.frame, k = Number($("k").value), opacity = Number($("opacity").value);
  const layer = $("layer").value, maps = mapsOf(t), found = maps && critical(maps, t, k);
  const { mean, limit } = maps ? scaleOf(maps, t) : { mean: 0, limit: 0 };
  const pictures = await Promise.all(shown.cameras.map((camera) => picture(camera, t)));
  if (t !== state.frame || shown !== own) return; // another frame or episode was chosen meanwhile
  shown.cameras.forEach((camera, view) => {
    const canvas = $(`view-${view}`);
    canvas.closest("figure").hidden = state.hidden.has(camera.name);
    const { height, width } = camera, scale = Math.max(1, Math.round(420 / width));
    canvas.height = height * scale;
    canvas.width = width * scale;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(pictures[view], 0, 0, canvas.width, canvas.height);
    const over = pen.getImageData(0, 0, canvas.width, canvas.height);
    const start = t * height * width;
    for (let y = 0; y < canvas.height; y++) {
      const row = Math.floor(y / scale);
      for (let x = 0; x < canvas.width; x++) {
        const i = row * width + Math.floor(x / scale);
        if (!camera.valid.data[start + i]) continue;
        let [r, g, b, strength] = [0, 0, 0, 0];
        if (layer === "map" && limit > 0) {
          const value = (maps[view][i] - mean) / limit;
          [r, g, b, strength] = colour(value);
          // Below the mean also by a pattern: no colour stands alone.
          if (value < 0 && (x + y) % 4) strength *= 0.35;
        } else if (layer === "players" && camera.players) {
          const own = camera.players.data[start + i];
          if (own >= 0 && !state.off.has(own)) [r, g, b, strength] = [215, 35, 30, Math.min(shareOf(own, t) * 1.6, 1)];
          else [r, g, b, strength] = [20, 20, 20, 0.9];
        }
        if ($("nuisance").checked && camera.regions && camera.regions.data[start + i] === 0 && (x - y + 4096) % 8 < 1) {
          [r, g, b, strength] = [255, 255, 255, 0.9 / Math.max(opacity, 0.05)];
        }
        const at = 4 * (y * canvas.width + x), part = Math.min(strength * opacity, 1);
        over.data[at] = over.data[at] * (1 - part) + r * part;
        over.data[at + 1] = over.data[at + 1] * (1 - part) + g * part;
        over.data[at + 2] = over.data[at + 2] * (1 - part) + b * part;
      }
    }
    pen.putImageData(over, 0, 0);
    if (found && $("outline").checked && layer !== "none") outlined(pen, found.inside[view], height, width, scale);
    if (layer === "players" && camera.players) numbered(pen, camera, t, scale);
    if (state.at && state.at.view === view) marked(pen, state.at, scale);
  });
  tell(t, k, found ? ratioOf(found, t) : NaN, found ? found.reason : "");
  if (state.last) read(state.last);
}

// Each player's number of the table, in the middle of its pixels.
function numbered(pen, camera, t, scale) {
  const { height, width } = camera, start = t * height * width, sums = new Map();
  for (let i = 0; i < height * width; i++) {
    const own = camera.players.data[start + i];
    if (own < 0 || state.off.has(own) || !camera.valid.data[start + i]) continue;
    const sum = sums.get(own) || [0, 0, 0];
    sum[0]++;
    sum[1] += i % width;
    sum[2] += Math.floor(i / width);
    sums.set(own, sum);
  }
  pen.font = "bold 17px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (const [own, [count, across, down]] of sums) {
    if (count < 12) continue;
    // The pixel of the player that lies nearest to its middle: a ring's middle is not its own.
    let best = null, least = Infinity;
    for (let i = 0; i < height * width; i++) {
      if (camera.players.data[start + i] !== own) continue;
      const off = (i % width - across / count) ** 2 + (Math.floor(i / width) - down / count) ** 2;
      if (off < least) { least = off; best = i; }
    }
    const x = (best % width + 0.5) * scale, y = (Math.floor(best / width) + 0.5) * scale;
    pen.lineWidth = 4;
    pen.strokeStyle = "#000";
    pen.strokeText(shown.ranks[own], x, y);
    pen.fillStyle = "#fff";
    pen.fillText(shown.ranks[own], x, y);
  }
}

function marked(pen, at, scale) {
  for (const [style, line] of [["#000", 4], ["#fff", 2]]) {
    pen.strokeStyle = style;
    pen.lineWidth = line;
    pen.strokeRect(at.j * scale - 4, at.i * scale - 4, scale + 8, scale + 8);
  }
}

function outlined(pen, inside, height, width, scale) {
  for (const [style, line] of [["#000", 3], ["#ffe14a", 1.5]]) {
    pen.strokeStyle = style;
    pen.lineWidth = line;
    pen.beginPath();
    for (let i = 0; i < height; i++) for (let j = 0; j < width; j++) {
      const own = inside[i * width + j];
      if (j + 1 < width && own !== inside[i * width + j + 1]) {
        pen.moveTo((j + 1) * scale, i * scale);
        pen.lineTo((j + 1) * scale, (i + 1) * scale);
      }
      if (i + 1 < height && own !== inside[(i + 1) * width + j]) {
        pen.moveTo(j * scale, (i + 1) * scale);
        pen.lineTo((j + 1) * scale, (i + 1) * scale);
      }
    }
    pen.stroke();
  }
}

function shareOf(player, t) {
  const value = shown.players.share.data[t * shown.players.names.length + player];
  return Number.isFinite(value) ? Math.max(value, 0) : 0;
}

function percent(value) { return Number.isFinite(value) ? `${Math.round(100 * value)}` : "?"; }

function told(player, t) { // share ± error
  const at = t * shown.players.names.length + player;
  const share = shown.players.share.data[at], error = shown.players.stderr.data[at];
  return Number.isFinite(share) ? `${percent(share)} ± ${percent(error)} %` : "not known";
}

// Which part of the pixels each player holds.
function areas(t) {
  const found = shown.players.names.map(() => 0);
  let whole = 0;
  shown.cameras.forEach((camera) => {
    const start = t * camera.height * camera.width;
    for (let i = 0; i < camera.height * camera.width; i++) {
      if (!camera.valid.data[start + i]) continue;
      whole++;
      const own = camera.players ? camera.players.data[start + i] : -1;
      if (own >= 0) found[own]++;
    }
  });
  return found.map((count) => count / Math.max(whole, 1));
}

function tell(t, k, nmr, reason) {
  const chance = shown.chance ? shown.chance.data[t] : NaN;
  $("frame-told").textContent = `frame ${t} (${t + 1} of ${shown.times.length}), ${shown.times[t].toFixed(1)} s` +
    (shown.computed[t] ? "" : ", interpolated");
  $("k-told").textContent = `${k} %`;
  $("nmr").textContent = Number.isFinite(nmr)
    ? `NMR@${k} ${nmr.toFixed(2)}` + (Number.isFinite(chance) ? `, chance ${chance.toFixed(2)}` : "")
    : reason ? `NMR@${k} not known: ${reason}.` : "Without region labels there is no NMR.";
  drawCurve(t, k);
  if (!shown.players) return;
  const area = areas(t), count = shown.players.names.length, share = shown.players.share.data.subarray(t * count);
  const order = [...Array(count).keys()].filter((p) => Number.isFinite(share[p]) || area[p] > 0);
  order.sort((a, b) => (share[b] || 0) - (share[a] || 0));
  // A box that has the focus keeps it: rows are moved, not made anew, while the episode is the same.
  if (!shown.rows) shown.rows = shown.players.names.map((name, p) => rowOf(name, p));
  for (const p of order) {
    const row = shown.rows[p];
    row.cells[3].textContent = told(p, t);
    row.cells[4].textContent = `${percent(area[p])} %`;
    row.cells[5].firstChild.style.width = `${Math.min(Math.max(share[p] || 0, 0), 1) * 100}%`;
  }
  const body = $("players").tBodies[0], focus = document.activeElement;
  body.replaceChildren(...order.map((p) => shown.rows[p]));
  if (body.contains(focus)) focus.focus();
  drawShares(t);
}

// Players are numbered from the largest share of the whole episode to the least.
function rank() {
  const { names, share } = shown.players, count = names.length;
  shown.sums = names.map((_, p) => shown.times.reduce((sum, _, i) => sum + (share.data[i * count + p] || 0), 0));
  const order = names.map((_, p) => p).sort((a, b) => shown.sums[b] - shown.sums[a]);
  shown.ranks = [];
  order.forEach((p, i) => { shown.ranks[p] = i + 1; });
}

function rowOf(name, p) {
  const row = document.createElement("tr"), box = document.createElement("input"), mark = document.createElement("span");
  box.type = "checkbox";
  box.checked = !state.off.has(p);
  box.setAttribute("aria-label", `show ${name}`);
  box.addEventListener("change", () => {
    if (box.checked) state.off.delete(p); else state.off.add(p);
    draw();
  });
  for (const one of [box, shown.ranks[p], name, "", "", mark]) row.insertCell().append(one);
  row.cells[5].className = "bar";
  return row;
}

const LEFT = 44, RIGHT = 628;
const across = (i) => LEFT + ((RIGHT - LEFT) * i) / Math.max(shown.times.length - 1, 1);
const up = (v) => 196 - 180 * v;

function axes() {
  const parts = [0, 0.5, 1].map((v) =>
    `<line class="axis" x1="${LEFT}" x2="${RIGHT}" y1="${up(v)}" y2="${up(v)}"/><text x="4" y="${up(v) + 5}">${v}</text>`);
  parts.push(`<text x="${LEFT}" y="216">0 s</text>`);
  parts.push(`<text x="${RIGHT}" y="216" text-anchor="end">${shown.times[shown.times.length - 1].toFixed(1)} s</text>`);
  return parts;
}

function line(values, name) {
  const path = [];
  let there = false; // a gap stays a gap
  values.forEach((v, i) => {
    if (Number.isFinite(v)) path.push(`${there ? "L" : "M"}${across(i).toFixed(1)} ${up(v).toFixed(1)}`);
    there = Number.isFinite(v);
  });
  return path.length ? `<path class="${name}" d="${path.join("")}"/>` : "";
}

function band(low, high) {
  const there = low.map((v, i) => [i, v, high[i]]).filter(([, a, b]) => Number.isFinite(a) && Number.isFinite(b));
  const points = [...there.map(([i, v]) => `${across(i)},${up(v)}`), ...there.reverse().map(([i, , v]) => `${across(i)},${up(v)}`)];
  return `<polygon class="band" points="${points.join(" ")}"/>`;
}

function key(name, text) {
  const item = document.createElement("li");
  const mark = name === "band" ? '<rect class="band" width="40" height="12"/>' : `<path class="${name}" d="M0 6H40"/>`;
  item.innerHTML = `<svg viewBox="0 0 40 12" aria-hidden="true">${mark}</svg>`;
  item.append(text);
  return item;
}

function drawCurve(t, k) {
  const parts = axes(), said = [], random = shown.random.find((own) => own.percent === k);
  if (random) {
    parts.push(band(Array.from(random.low.data), Array.from(random.high.data)));
    said.push(key("band", `least and most of ${random.draws} random maps`));
  }
  if (shown.chance) {
    parts.push(line(Array.from(shown.chance.data), "chance"));
    said.push(key("chance", "chance, the nuisance share of the area"));
  }
  if (shown.methods.length && shown.cameras.every((camera) => camera.regions)) {
    parts.push(line(ratios(k), "nmr"));
    said.unshift(key("nmr", `NMR@${k}`));
  }
  if (!random && shown.random.length) {
    const known = shown.random.map((own) => own.percent).sort((a, b) => a - b);
    said.push(`Random maps at k = ${known.join(", ")} only.`);
  }
  parts.push(`<line class="now" x1="${across(t)}" x2="${across(t)}" y1="16" y2="196"/>`);
  $("curve").innerHTML = parts.join("");
  $("legend").replaceChildren(...said);
}

// Over the episode, of the players that are on: the largest first.
function drawShares(t) {
  const count = shown.players.names.length, frames = shown.times.length, share = shown.players.share.data;
  const top = shown.players.names.map((_, p) => p).filter((p) => !state.off.has(p) && shown.sums[p] > 0)
    .sort((a, b) => shown.ranks[a] - shown.ranks[b]).slice(0, MOST_LINES);
  const of = (p, what) => Array.from({ length: frames }, (_, i) => what(share[i * count + p], shown.players.stderr.data[i * count + p]));
  const parts = axes();
  top.forEach((p, number) => {
    parts.push(band(of(p, (v, e) => Math.max(v - e, 0)), of(p, (v, e) => Math.min(v + e, 1))));
    parts.push(line(of(p, (v) => v), `line-${number}`));
  });
  parts.push(`<line class="now" x1="${across(t)}" x2="${across(t)}" y1="16" y2="196"/>`);
  $("shares").innerHTML = parts.join("");
  const keys = top.map((p, number) => key(`line-${number}`, `${shown.ranks[p]} ${shown.players.names[p]}`));
  if (keys.length) keys.push(key("band", "± a standard error"));
  $("shares-legend").replaceChildren(...keys);
}

function pixelOf(view, event) {
  const camera = shown.cameras[view], box = event.target.getBoundingClientRect();
  const j = Math.floor(((event.clientX - box.left) / box.width) * camera.width);
  const i = Math.floor(((event.clientY - box.top) / box.height) * camera.height);
  return i < 0 || j < 0 || i >= camera.height || j >= camera.width ? null : { view, i, j };
}

function read({ view, i, j }) {
  state.last = { view, i, j };
  const camera = shown.cameras[view], t = state.frame;
  const at = t * camera.height * camera.width + i * camera.width + j;
  if (!camera.valid.data[at]) { $("hover").textContent = "Padding, which is no picture."; return; }
  const said = [`${camera.name}, row ${i}, column ${j}`], method = shown.methods[state.method];
  if (method) {
    const [, views, rows, columns] = method.cells.shape;
    const value = upsampled(method.cells, t, view, camera.height, camera.width)[i * camera.width + j];
    const row = Math.min(Math.floor((i * rows) / camera.height), rows - 1);
    const column = Math.min(Math.floor((j * columns) / camera.width), columns - 1);
    const error = method.stderr.data[((t * views + view) * rows + row) * columns + column];
    said[0] += `: ${value.toPrecision(3)}` +
      (Number.isFinite(error) ? ` ± ${error.toPrecision(2)}` : "") + ` (${method.unit})`;
  }
  if (camera.regions) said.push(REGION_NAMES[camera.regions.data[at]]);
  if (camera.players && camera.players.data[at] >= 0) {
    const own = camera.players.data[at];
    said.push(`${shown.players.names[own]}, share ${told(own, t)}`);
  }
  $("hover").textContent = said.join("; ") + ".";
}

// By keyboard: a step is an eighth of a cell of 7 x 7.
function moved(view, event) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  if (!(event.key in steps)) return;
  event.preventDefault();
  event.stopPropagation();
  const camera = shown.cameras[view], [down, right] = steps[event.key], by = Math.max(1, Math.round(camera.height / 56));
  if (!state.at || state.at.view !== view) state.at = { view, i: Math.floor(camera.height / 2), j: Math.floor(camera.width / 2) };
  state.at.i = Math.min(Math.max(state.at.i + by * down, 0), camera.height - 1);
  state.at.j = Math.min(Math.max(state.at.j + by * right, 0), camera.width - 1);
  read(state.at);
  draw();
}

async function openEpisode(index) {
  stop();
  state.episode = index;
  state.off.clear();
  const found = await opened(content[index]);
  if (state.episode !== index) return; // another was chosen meanwhile
  shown = found;
  if (shown.players) rank();
  const count = shown.times.length, words = `${shown.title}, ${count === 1 ? "one frame" : `${count} frames`}. `;
  const outcome = document.createElement("span");
  outcome.className = `outcome ${shown.success === false ? "failure" : ""}`;
  outcome.textContent = shown.success === true ? "✓ success" : shown.success === false ? "✗ failure" : "";
  $("told").replaceChildren(words, ...(outcome.textContent ? [outcome] : count > 1 ? ["Outcome not known."] : []));
  const methods = shown.methods.map((method, i) => new Option(method.name, i));
  $("method").replaceChildren(...methods);
  state.method = Math.max(0, Math.min(state.method, methods.length - 1));
  $("method").value = state.method;
  state.at = state.last = null;
  $("hover").textContent = HINT;
  for (const id of ["method-box", "k-box", "outline-box"]) $(id).hidden = !methods.length;
  $("time").hidden = count === 1;
  for (const id of ["curve", "shares"]) $(id).style.display = count === 1 ? "none" : "";
  for (const id of ["legend", "shares-legend"]) $(id).hidden = count === 1;
  $("k").value = shown.percent;
  $("frame").max = shown.times.length - 1;
  state.frame = Math.min(state.frame, shown.times.length - 1);
  $("frame").value = state.frame;
  $("players-box").hidden = !shown.players;
  const there = { map: methods.length > 0, players: Boolean(shown.players), none: true };
  for (const option of $("layer").options) option.disabled = !there[option.value];
  if (!there[$("layer").value]) $("layer").value = there.map ? "map" : "players";
  const labels = shown.cameras.some((camera) => camera.regions);
  $("nuisance-box").hidden = !labels;
  $("nmr-box").hidden = !labels || !methods.length;
  $("stage").replaceChildren(...shown.cameras.map((camera, view) => {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas");
    canvas.id = `view-${view}`;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `camera ${camera.name}; arrows move the pixel that is read`);
    for (const name of ["pointermove", "pointerdown"]) {
      canvas.addEventListener(name, (event) => { const at = pixelOf(view, event); if (at) read(at); });
    }
    canvas.addEventListener("keydown", (event) => moved(view, event));
    canvas.addEventListener("blur", () => { state.at = null; draw(); });
    const caption = document.createElement("figcaption");
    caption.textContent = camera.name;
    figure.append(canvas, caption);
    return figure;
  }));
  const boxes = shown.cameras.map((camera) => {
    const label = document.createElement("label"), box = document.createElement("input");
    label.className = "check";
    box.type = "checkbox";
    box.checked = !state.hidden.has(camera.name);
    box.addEventListener("change", () => {
      if (box.checked) state.hidden.delete(camera.name); else state.hidden.add(camera.name);
      draw();
    });
    label.append(box, ` ${camera.name}`);
    return label;
  });
  $("cameras").replaceChildren($("cameras").querySelector("legend"), ...boxes);
  await draw();
}

function go(frame) {
  state.frame = Math.min(Math.max(frame, 0), shown.times.length - 1);
  $("frame").value = state.frame;
  return draw();
}

function stop() {
  clearInterval(state.timer);
  state.timer = null;
  $("play").textContent = "Play";
  $("play").setAttribute("aria-pressed", "false");
}

function play() {
  if (state.timer) { stop(); return; }
  const step = shown.times.length > 1 ? (1000 * shown.times[shown.times.length - 1]) / (shown.times.length - 1) : 200;
  $("play").textContent = "Stop";
  $("play").setAttribute("aria-pressed", "true");
  state.timer = setInterval(() => {
    go(state.frame + 1 < shown.times.length ? state.frame + 1 : 0);
  }, Math.max(step, 80));
}

const OUTCOMES = new Map([[true, "✓ "], [false, "✗ "]]);
content.forEach((episode, i) => $("episode").add(new Option((OUTCOMES.get(episode.success) || "") + episode.title, i)));
for (const id of ["curve", "shares"]) {
  $(id).addEventListener("click", (event) => {
    const box = $(id).getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * 640;
    go(Math.round(((x - LEFT) / (RIGHT - LEFT)) * (shown.times.length - 1)));
  });
}
$("episode").addEventListener("change", () => openEpisode(Number($("episode").value)));
$("method").addEventListener("change", () => { state.method = Number($("method").value); draw(); });
for (const id of ["layer", "opacity", "outline", "nuisance"]) $(id).addEventListener("input", draw);
$("k").addEventListener("input", () => { $("k-told").textContent = `${$("k").value} %`; });
$("k").addEventListener("change", draw);
$("frame").addEventListener("input", () => go(Number($("frame").value)));
$("play").addEventListener("click", play);
document.addEventListener("keydown", (event) => {
  if (["INPUT", "SELECT", "BUTTON", "SUMMARY"].includes(event.target.tagName) && event.target.id !== "frame") return;
  const keys = { ArrowLeft: state.frame - 1, ArrowRight: state.frame + 1, Home: 0, End: Infinity };
  if (event.key === " ") { event.preventDefault(); play(); }
  else if (event.key in keys) {
    event.preventDefault();
    go(keys[event.key] === Infinity ? shown.times.length - 1 : keys[event.key]);
  }
});
openEpisode(0).then(() => { document.body.dataset.ready = "yes"; });
