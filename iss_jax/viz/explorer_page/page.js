"use strict";
const KINDS = { uint8: Uint8Array, int16: Int16Array, float32: Float32Array };
const REGION_NAMES = ["nuisance", "support", "action"];
const $ = (id) => document.getElementById(id);
const content = JSON.parse($("content").textContent);
const state = { episode: 0, method: 0, frame: 0, timer: null, hidden: new Set(), off: new Set() };
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
  const [chance, random] = await Promise.all([episode.chance, episode.random].map(unpacked));
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

// NMR of every frame at one k and method; kept, since a curve takes a moment.
function ratios(k) {
  const name = `${state.method} ${k}`;
  if (!shown.ratios.has(name)) {
    shown.ratios.set(name, shown.times.map((_, t) => ratioOf(critical(mapsOf(t), t, k), t)));
  }
  return shown.ratios.get(name);
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

async function draw() {
  const t = state.frame, k = Number($("k").value), opacity = Number($("opacity").value);
  const layer = $("layer").value, maps = mapsOf(t), found = critical(maps, t, k);
  let sum = 0, count = 0;
  shown.cameras.forEach((camera, view) => {
    const start = t * camera.height * camera.width;
    maps[view].forEach((value, i) => { if (camera.valid.data[start + i]) { sum += value; count++; } });
  });
  const mean = sum / Math.max(count, 1);
  let limit = 0;
  shown.cameras.forEach((camera, view) => {
    const start = t * camera.height * camera.width;
    maps[view].forEach((value, i) => {
      if (camera.valid.data[start + i]) limit = Math.max(limit, Math.abs(value - mean));
    });
  });
  const pictures = await Promise.all(shown.cameras.map((camera) => picture(camera, t)));
  if (t !== state.frame) return;
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
    if ($("outline").checked && layer !== "none") outlined(pen, found.inside[view], height, width, scale);
  });
  tell(t, k, ratioOf(found, t), found.reason);
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

function percent(value) { return Number.isFinite(value) ? `${Math.round(100 * value)} %` : "not known"; }

function tell(t, k, nmr, reason) {
  const chance = shown.chance ? shown.chance.data[t] : NaN;
  $("frame-told").textContent = `frame ${t + 1} of ${shown.times.length}, ${shown.times[t].toFixed(1)} s` +
    (shown.computed[t] ? "" : ", interpolated");
  $("k-told").textContent = `${k} %`;
  $("nmr").textContent = Number.isFinite(nmr)
    ? `NMR@${k} ${nmr.toFixed(2)}` + (Number.isFinite(chance) ? `, chance ${chance.toFixed(2)}` : "")
    : reason ? `NMR@${k} not known: ${reason}.` : "Without region labels there is no NMR.";
  drawCurve(t, k);
  if (!shown.players) return;
  const count = shown.players.names.length;
  const order = [...Array(count).keys()].filter((p) => Number.isFinite(shown.players.share.data[t * count + p]));
  order.sort((a, b) => shown.players.share.data[t * count + b] - shown.players.share.data[t * count + a]);
  const rows = order.map((p) => {
    const share = shown.players.share.data[t * count + p], error = shown.players.stderr.data[t * count + p];
    const row = document.createElement("tr");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !state.off.has(p);
    box.setAttribute("aria-label", `show ${shown.players.names[p]}`);
    box.addEventListener("change", () => {
      if (box.checked) state.off.delete(p); else state.off.add(p);
      draw();
    });
    const told = `${Math.round(100 * share)} ± ${Number.isFinite(error) ? Math.round(100 * error) : "?"} %`;
    for (const one of [box, shown.players.names[p], told]) row.insertCell().append(one);
    const bar = row.insertCell();
    bar.className = "bar";
    const mark = document.createElement("span");
    mark.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
    bar.append(mark);
    return row;
  });
  $("players").tBodies[0].replaceChildren(...rows);
}

function drawCurve(t, k) {
  const last = Math.max(shown.times.length - 1, 1);
  const x = (i) => 40 + (590 * i) / last, y = (v) => 200 - 180 * v;
  const parts = [];
  const line = (values, name) => {
    const path = [];
    values.forEach((v, i) => { if (Number.isFinite(v)) path.push(`${path.length ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`); });
    if (path.length) parts.push(`<path class="${name}" d="${path.join("")}"/>`);
    return path.length > 0;
  };
  for (const v of [0, 0.5, 1]) parts.push(`<line class="axis" x1="40" x2="630" y1="${y(v)}" y2="${y(v)}"/><text x="6" y="${y(v) + 4}">${v}</text>`);
  const said = [];
  if (shown.random && k === shown.percent) {
    const [frames, draws] = shown.random.shape, ends = [[], []];
    for (let i = 0; i < frames; i++) {
      const own = Array.from(shown.random.data.slice(i * draws, (i + 1) * draws)).sort((a, b) => a - b);
      ends[0].push(own[0]);
      ends[1].push(own[draws - 1]);
    }
    const there = ends[0].map((v, i) => `${x(i)},${y(v)}`), back = ends[1].map((v, i) => `${x(i)},${y(v)}`).reverse();
    parts.push(`<polygon class="random" points="${there.concat(back).join(" ")}"/>`);
    said.push(`band: the least and most of ${draws} random maps`);
  }
  if (shown.chance && line(Array.from(shown.chance.data), "chance")) said.push("long dashes: chance, the nuisance share of the area");
  if (shown.cameras.every((camera) => camera.regions) && line(ratios(k), "nmr")) said.unshift(`solid: NMR@${k}`);
  if (shown.players) {
    const count = shown.players.names.length, top = firstPlayer(t);
    if (top >= 0) {
      line(shown.times.map((_, i) => shown.players.share.data[i * count + top]), "share");
      said.push(`dots: share of ${shown.players.names[top]}`);
    }
  }
  parts.push(`<line class="now" x1="${x(t)}" x2="${x(t)}" y1="20" y2="200"/>`);
  parts.push(`<text x="40" y="216">0 s</text><text x="630" y="216" text-anchor="end">${shown.times[shown.times.length - 1].toFixed(1)} s</text>`);
  $("curve").innerHTML = parts.join("");
  $("legend").textContent = said.join("; ") + (said.length ? "." : "");
}

function firstPlayer(t) {
  const count = shown.players.names.length;
  let best = -1, most = -Infinity;
  for (let p = 0; p < count; p++) {
    const share = shown.players.share.data[t * count + p];
    if (share > most) { most = share; best = p; }
  }
  return best;
}

function pointed(view, event) {
  const camera = shown.cameras[view], box = event.target.getBoundingClientRect(), t = state.frame;
  const j = Math.floor(((event.clientX - box.left) / box.width) * camera.width);
  const i = Math.floor(((event.clientY - box.top) / box.height) * camera.height);
  if (i < 0 || j < 0 || i >= camera.height || j >= camera.width) return;
  const at = t * camera.height * camera.width + i * camera.width + j;
  if (!camera.valid.data[at]) { $("hover").textContent = "Padding, which is no picture."; return; }
  const method = shown.methods[state.method], [, views, rows, columns] = method.cells.shape;
  const value = upsampled(method.cells, t, view, camera.height, camera.width)[i * camera.width + j];
  const row = Math.min(Math.floor((i * rows) / camera.height), rows - 1);
  const column = Math.min(Math.floor((j * columns) / camera.width), columns - 1);
  const error = method.stderr.data[((t * views + view) * rows + row) * columns + column];
  const said = [`${camera.name}, row ${i}, column ${j}: ${value.toPrecision(3)}` +
    (Number.isFinite(error) ? ` ± ${error.toPrecision(2)}` : "") + ` (${method.unit})`];
  if (camera.regions) said.push(REGION_NAMES[camera.regions.data[at]]);
  if (camera.players && camera.players.data[at] >= 0) {
    const own = camera.players.data[at];
    said.push(`${shown.players.names[own]}, ${percent(shown.players.share.data[t * shown.players.names.length + own])}`);
  }
  $("hover").textContent = said.join("; ") + ".";
}

async function openEpisode(index) {
  stop();
  state.episode = index;
  state.off.clear();
  const found = await opened(content[index]);
  if (state.episode !== index) return; // another was chosen meanwhile
  shown = found;
  const outcome = shown.success === true ? "success" : shown.success === false ? "failure" : "outcome not known";
  $("told").textContent = `${shown.title}: ${outcome}, ${shown.times.length} frames.`;
  const methods = shown.methods.map((method, i) => new Option(method.name, i));
  $("method").replaceChildren(...methods);
  state.method = Math.min(state.method, methods.length - 1);
  $("method").value = state.method;
  $("k").value = shown.percent;
  $("frame").max = shown.times.length - 1;
  state.frame = Math.min(state.frame, shown.times.length - 1);
  $("frame").value = state.frame;
  $("players-box").hidden = !shown.players;
  for (const option of $("layer").options) option.disabled = option.value === "players" && !shown.players;
  if (!shown.players && $("layer").value === "players") $("layer").value = "map";
  const labels = shown.cameras.some((camera) => camera.regions);
  $("nuisance").disabled = !labels;
  $("over-time").textContent = labels ? "Nuisance mass ratio" : "Over the episode";
  $("stage").replaceChildren(...shown.cameras.map((camera, view) => {
    const figure = document.createElement("figure"), canvas = document.createElement("canvas");
    canvas.id = `view-${view}`;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `camera ${camera.name}`);
    canvas.addEventListener("pointermove", (event) => pointed(view, event));
    canvas.addEventListener("pointerdown", (event) => pointed(view, event));
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

content.forEach((episode, i) => $("episode").add(new Option(episode.title, i)));
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
