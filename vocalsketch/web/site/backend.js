// Where sounds are found: in this browser, by files that lie beside the page. Nothing is sent anywhere.
import { clipOf, decoded, prepared } from "./hearing.js";

const LONGEST_CLIP = 8, ROWS_AT_ONCE = 4096, MOST_FOLDERS = 500, LACK = Math.log(0.1);
const LIMITS = { seconds: 30, megabytes: 20 };
const got = async (name) => {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} of this site cannot be had (${response.status}): it was not copied whole.`);
  return response;
};
const json = async (name) => (await got(name)).json();
const bytes = async (name) => (await got(name)).arrayBuffer();

const about = Promise.all([json("library.json"), json("system/metadata.json")]);
const searching = opened(); // begins now, so that the first search need not wait
searching.catch(() => {}); // told by state() and search()

async function opened() {
  if (typeof WebAssembly === "undefined")
    throw new Error("This browser has no WebAssembly, which the search needs: allow it in the settings, or take another browser.");
  const [[library, system], runtime, embeddings, wasmBinary] = await Promise.all([
    about, import("./onnxruntime/ort.wasm.min.js"), bytes("embeddings.f32"), bytes("onnxruntime/ort-wasm-simd-threaded.wasm"),
  ]);
  // several threads would need headers that plain web servers do not send
  Object.assign(runtime.env.wasm, { wasmBinary, numThreads: 1, wasmPaths: { mjs: new URL("onnxruntime/ort-wasm-simd-threaded.js", location.href).href } });
  const model = async (file, output) => {
    const session = await runtime.InferenceSession.create(new Uint8Array(await bytes(`system/${file}`)));
    return async (inputs) => {
      const rows = (values) => new runtime.Tensor("float32", values[0], [values[0].length / values[1], values[1]]);
      return (await session.run(Object.fromEntries(Object.entries(inputs).map(([name, values]) => [name, rows(values)]))))[output].data;
    };
  };
  const shape = system.sides.imitation, { width } = shape;
  const embed = await model(shape.file, "embeddings");
  const hear = (clip) => embed({ waveforms: [clip, shape.samples] });
  await hear(new Float32Array(shape.samples)); // the first time takes several times as long
  const rows = new Float32Array(embeddings); // (windows, width), little-endian as every browser's machine
  const score = system.inner_product ? null : await model(system.score, "scores");
  const scores = async (query) => {
    if (!score) return products(query, rows);
    const all = new Float32Array(rows.length / width);
    for (let row = 0; row < all.length; row += ROWS_AT_ONCE) {
      const some = rows.subarray(row * width, (row + ROWS_AT_ONCE) * width);
      all.set(await score({ imitations: [query, width], recordings: [some, width] }), row);
    }
    return all;
  };
  return { library, system, shape, hear, scores };
}

function products(query, rows) {
  const width = query.length, all = new Float32Array(rows.length / width);
  for (let row = 0, at = 0; row < all.length; row++) {
    let sum = 0;
    for (let place = 0; place < width; place++) sum += query[place] * rows[at++];
    all[row] = sum;
  }
  return all;
}

// ---- tags and words, as search/text.py has them

const foldersOf = (path) => path.split("/").slice(0, -1);
const quoted = (text) => text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
const isTagged = (path, tag) =>
  new RegExp(`(?:^|[^\\p{L}\\p{N}])${quoted(tag)}(?:$|[^\\p{L}\\p{N}])`, "iu").test(foldersOf(path).join("/"));
const wordsOf = (text) => [...new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu))];
const hasWord = (path, word) =>
  [...path.matchAll(new RegExp(quoted(word), "giu"))].some(({ index }) => {
    const before = [...path.slice(0, index)].at(-1) ?? " ";
    return !/[\p{L}\p{N}]/u.test(before) || (/\p{Ll}/u.test(before) && /\p{Lu}/u.test(path[index]));
  });

// ---- ranks, as search/searcher.py has them

const logSum = (values) => {
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
};

// Each sound's best window, best sounds first; equal ones as they lie, which is by path and start.
function ranked(scores, library, counts) {
  const best = new Map();
  scores.forEach((score, row) => {
    const sound = library.windows.sound[row];
    if (counts(sound) && !(score <= scores[best.get(sound)])) best.set(sound, row);
  });
  return [...best.values()].sort((a, b) => scores[b] - scores[a] || a - b);
}

async function query({ library, shape, system }, wish, recording) {
  const like = wish.get("like");
  const file = like === null ? recording : await (await got(addressOf(library, library.sounds.path.indexOf(like)))).blob();
  const { waveform, rate } = await decoded(file, like ?? "Your recording");
  if (like === null && waveform.length > (LIMITS.seconds + 0.05) * rate)
    throw new Error(`Your recording is longer than ${LIMITS.seconds} s: cut it; a few seconds are enough.`);
  const { audio, heard } = prepared(waveform.subarray(Math.round(Number(wish.get("start") ?? 0) * rate)), rate, shape.seconds);
  return { clip: clipOf(audio, rate, shape, Boolean(system.description.members)), heard };
}

async function search(wish, recording) {
  const site = await searching;
  const { library, system } = site;
  const paths = library.sounds.path;
  const { clip, heard } = await query(site, wish, recording);
  const raw = await site.scores(await site.hear(clip));
  const tags = wish.getAll("folder").filter((each) => each.trim());
  const words = wordsOf(wish.get("words") ?? "");
  if (words.length && system.kind === "similarity") throw new Error("This system's scores are no likelihoods: words cannot be weighed with them.");
  const absolute = system.kind === "logit" || system.kind === "log_likelihood";
  const mass = absolute ? 0 : logSum(raw);
  const logarithm = (score) => (system.kind === "logit" ? -Math.log1p(Math.exp(-score)) : score);
  const lacks = words.length ? paths.map((path) => LACK * words.filter((word) => !hasWord(path, word)).length) : null;
  const scores = lacks ? Float64Array.from(raw, (score, row) => logarithm(score) + lacks[library.windows.sound[row]]) : raw;
  const tagged = paths.map((path) => tags.every((tag) => isTagged(path, tag)));
  const rows = ranked(scores, library, (sound) => tagged[sound]);
  if (!rows.length) throw new Error(`No sound is tagged ${tags.join(" and ")}: tags are the names of the folders around a sound.`);
  const probability = (score) => Math.exp(Math.min(0, (lacks ? score : logarithm(score)) - mass));
  const hits = rows.slice(0, Number(wish.get("count") ?? 10)).map((row, place) =>
    hit(library, row, { rank: place + 1, score: lacks ? scores[row] - mass : scores[row], probability: probability(scores[row]) }));
  return { hits, heard, sounds: paths.length, missing: [] };
}

const addressOf = ({ sounds }, sound) =>
  `${sounds.converted[sound] ? "converted" : "sounds"}/${sounds.path[sound].split("/").map(encodeURIComponent).join("/")}${sounds.converted[sound] ? ".wav" : ""}`;

function hit(library, row, found) {
  const { sounds, windows } = library;
  const sound = windows.sound[row], path = sounds.path[sound], file = addressOf(library, sound);
  const [start, end] = [windows.start[row], windows.end[row]];
  const folders = foldersOf(path), name = path.split("/").at(-1);
  return { ...found, library: 0, path, name, folders, start, end, duration: sounds.duration[sound], sample_rate: sounds.sample_rate[sound],
    file, clip: `${file}#t=${start},${Math.min(start + LONGEST_CLIP, sounds.duration[sound])}`, begins: start };
}

async function state() {
  const [library, system] = await about;
  const counts = new Map();
  for (const path of library.sounds.path) for (const tag of new Set(foldersOf(path).map((each) => each.toLowerCase()))) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  const folders = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_FOLDERS).map(([tag]) => tag).sort();
  const notes = ["The search runs in this browser: what you record is not sent anywhere."];
  await Promise.race([searching, new Promise((soon) => setTimeout(soon, 0))]).catch((error) => { notes[0] = error.message; });
  return {
    version: library.version, systems: [{ name: system.system, trained_on: [system.corpus].filter(Boolean), aspects: [] }],
    libraries: [{ name: library.name, sounds: library.sounds.path.length, windows: library.windows.sound.length }],
    folders, upkeep: [], notes, examples: {}, limits: LIMITS, can_reveal: false,
  };
}

export const backend = { address: (target) => target, state, search, ready: searching };

navigator.serviceWorker?.register("service-worker.js").then(async () => {
  (await navigator.serviceWorker.ready).active.postMessage("keep the sounds");
}).catch(() => {}); // private windows have none: the page then needs the network
