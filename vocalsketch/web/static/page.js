// The page: what is asked, and where what was found is put. Where it is found is backend.js's matter.
import { backend } from "./backend.js";
import { Recorder, draw, levels } from "./recorder.js";

const $ = (id) => document.getElementById(id);
const player = $("player");
const state = { takes: [], take: null, like: null, hits: [], chosen: null, now: null, asked: 0 };
const stored = (name, otherwise) => {
  try { return JSON.parse(localStorage.getItem(name)) ?? otherwise; } catch { return otherwise; }
};
const store = (name, value) => { try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* private window */ } };
let favourites = stored("vocalsketch.favourites", []);

// ---- what can be searched

async function refresh() {
  try {
    const now = await backend.state();
    const before = state.now;
    state.now = now;
    showState(now, before);
  } catch {
    $("libraries").textContent = "The page's server does not answer.";
  }
  const busy = state.now?.upkeep.some((each) => each.running);
  setTimeout(refresh, busy ? 1000 : 15000);
}

function showState(now, before) {
  const counts = now.libraries.map((each) => `${each.sounds.toLocaleString("en")} sounds in ${each.name}`);
  const tags = [...new Set(now.systems.flatMap((each) => each.trained_on))];
  $("libraries").textContent = counts.join(", ") || "No library is ready yet";
  if (tags.length) $("libraries").title = `trained on ${tags.join(", ")}`;
  $("notes").replaceChildren(...now.notes.map((text) => element("li", text)));
  showUpkeep(now.upkeep);
  const names = now.systems.map((each) => each.name);
  if (names.join("\n") !== (before?.systems ?? []).map((each) => each.name).join("\n") || !before) {
    const chosen = $("system").value;
    $("system").replaceChildren(...names.map((name) => new Option(name)));
    if (names.includes(chosen)) $("system").value = chosen;
    $("system-field").hidden = names.length < 2;
    showAspects();
  }
  $("folder-field").hidden = !now.folders.length;
  $("folders").replaceChildren(...now.folders.map((name) => new Option(name)));
  if (!before) showExamples(now.examples);
  for (const each of document.querySelectorAll('[data-do="reveal"]')) each.hidden = !now.can_reveal;
  const size = (it) => it?.libraries.map((each) => each.windows).join();
  if (before && size(before) !== size(now) && (state.take || state.like)) search();
}

function showUpkeep(upkeep) {
  const busy = upkeep.find((each) => each.running && each.total);
  const failed = upkeep.find((each) => each.error);
  const skipped = upkeep.reduce((sum, each) => sum + Object.values(each.skipped).reduce((a, b) => a + b, 0), 0);
  $("banner").hidden = !busy && !failed && !skipped;
  $("banner").classList.toggle("failed", Boolean(failed));
  $("banner-bar").hidden = !busy;
  if (busy) {
    $("banner-bar").max = busy.total;
    $("banner-bar").value = busy.done;
    $("banner-text").textContent = `Listening to ${busy.library}: ${busy.done.toLocaleString("en")} of ${busy.total.toLocaleString("en")} new sounds. What is ready can be searched.`;
  } else if (failed) $("banner-text").textContent = failed.error;
  else if (skipped) $("banner-text").textContent = `${skipped.toLocaleString("en")} files cannot be used (` +
    upkeep.flatMap((each) => Object.entries(each.skipped)).map(([why, count]) => `${count} ${why}`).slice(0, 3).join("; ") + ").";
}

function showAspects() {
  const system = state.now.systems.find((each) => each.name === $("system").value) ?? state.now.systems[0];
  const sliders = (system?.aspects ?? []).map((name) => {
    const label = element("label", "");
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 3, step: 0.1, value: 1, name });
    const figure = element("output", "1");
    slider.addEventListener("input", () => (figure.textContent = Number(slider.value)));
    slider.addEventListener("change", search);
    label.append(element("span", name), slider, figure);
    return label;
  });
  $("aspects").replaceChildren(element("legend", "What counts"), ...sliders);
  $("aspects").hidden = !sliders.length;
}

function showExamples(examples) {
  const entries = Object.entries(examples);
  $("examples").hidden = !entries.length;
  for (const [name, address] of entries) {
    const button = element("button", name);
    button.type = "button";
    button.addEventListener("click", async () => addTake(await backend.example(address), name));
    $("examples").append(button);
  }
}

// ---- recordings

const recorder = new Recorder({
  level: (value) => ($("level").value = value),
  told: (text) => ($("recorder-note").textContent = text),
  begun: () => { $("record").setAttribute("aria-pressed", "true"); $("record-label").textContent = "Stop"; player.pause(); },
  ended: (blob) => {
    $("record").setAttribute("aria-pressed", "false");
    $("record-label").textContent = "Record";
    $("level").value = 0;
    if (blob) addTake(blob, `Take ${state.takes.length + 1}`);
  },
});
$("record").addEventListener("click", () => recorder.toggle(state.now?.limits.seconds ?? 30));
$("upload").addEventListener("change", (event) => {
  for (const file of event.target.files) addTake(file, file.name);
  event.target.value = "";
});
for (const kind of ["dragover", "dragleave", "drop"])
  $("recorder").addEventListener(kind, (event) => {
    event.preventDefault();
    $("recorder").classList.toggle("over", kind === "dragover");
    if (kind === "drop") for (const file of event.dataTransfer.files) addTake(file, file.name);
  });

async function addTake(blob, name) {
  const most = state.now?.limits.megabytes ?? 20;
  if (blob.size > most * 1e6) return problem(`${name} is too large: at most ${most} MB are taken.`);
  const take = { blob, name, address: URL.createObjectURL(blob), levels: await levels(blob), heard: null };
  state.takes.unshift(take);
  for (const old of state.takes.splice(20)) URL.revokeObjectURL(old.address);
  choose(take);
}

function choose(take) {
  state.take = take;
  state.like = null;
  search();
}

function showTakes() {
  $("takes").replaceChildren(...state.takes.map((take) => {
    const item = document.createElement("li");
    item.setAttribute("aria-current", String(take === state.take && !state.like));
    const play = element("button", "▶", "round");
    play.setAttribute("aria-label", `Play ${take.name}`);
    play.addEventListener("click", () => { playAddress(take.address, null); });
    const canvas = document.createElement("canvas");
    draw(canvas, take);
    const again = element("button", "Search", "plain");
    again.setAttribute("aria-label", `Search with ${take.name}`);
    again.addEventListener("click", () => choose(take));
    canvas.addEventListener("click", () => choose(take));
    for (const button of [play, again]) button.type = "button";
    item.append(element("p", take.name, "name quiet"), play, canvas, again);
    return item;
  }));
}

// ---- searching

function wish() {
  const values = new URLSearchParams({ count: $("count").value });
  if ($("system").value) values.set("system", $("system").value);
  if ($("words").value.trim()) values.set("words", $("words").value);
  if ($("folder").value.trim()) values.append("folder", $("folder").value);
  for (const slider of $("aspects").querySelectorAll("input"))
    // cubed: people hear of a factor of three little
    if (slider.value !== "1") values.append("aspect", `${slider.name}=${(slider.value ** 3).toFixed(3)}`);
  if (state.like) for (const [name, value] of Object.entries(state.like)) values.set(name, value);
  return values;
}

async function search() {
  if (!state.take && !state.like) return;
  const number = ++state.asked;
  showTakes();
  $("finding").classList.add("busy");
  try {
    const results = await backend.search(wish(), state.like ? null : state.take.blob);
    if (number !== state.asked) return; // a later search is on its way
    if (!state.like) state.take.heard = results.heard;
    problem("");
    showResults(results);
  } catch (error) {
    if (number === state.asked) { problem(error.message); $("hits").replaceChildren(); $("heading").textContent = "Nothing to show"; }
  } finally {
    if (number === state.asked) { $("finding").classList.remove("busy"); showTakes(); }
  }
}

function problem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text;
}

function showResults(results) {
  state.hits = results.hits;
  const name = state.like && state.like.like.split("/").at(-1);
  $("heading").textContent = name ? `${results.hits.length} sounds like ${name}`
    : `${results.hits.length} of ${results.sounds.toLocaleString("en")} sounds`;
  $("back").hidden = !(state.like && state.take);
  const missing = results.missing.length ? `Partial: ${results.missing.join(", ")} could not be searched. ` : "";
  $("told").textContent = missing + (state.like ? "" : results.heard.note);
  const odds = (hit) => hit.probability / Math.max(1 - hit.probability, 1e-12);
  const best = Math.max(...results.hits.map(odds), 1e-12);
  $("hits").replaceChildren(...results.hits.map((hit) => card(hit, (100 * odds(hit)) / best)));
  state.chosen = null;
  if ($("finding").getBoundingClientRect().top > 0.8 * innerHeight) $("finding").scrollIntoView({ block: "start" });
}

// Where nobody draws spectrograms, loudness is drawn here, of what is looked at.
const unseen = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((each) => each.isIntersecting)) {
    unseen.unobserve(target);
    loudness(target, target.closest(".hit").hit).catch(() => {}); // not to be had now
  }
});
async function loudness(canvas, hit) {
  if (hit.duration > LONGEST_DRAWN) return; // all of the file would be fetched
  const sound = await (await fetch(backend.address(hit.file))).blob();
  draw(canvas, { levels: await levels(sound, hit.start, LONGEST_CLIP), name: hit.name });
}

function card(hit, bar) {
  const node = $("hit").content.firstElementChild.cloneNode(true);
  const part = (selector) => node.querySelector(selector);
  node.hit = hit;
  node.setAttribute("aria-label", `${hit.rank}: ${hit.name}`);
  part(".rank").textContent = hit.rank;
  part("h3").textContent = hit.name;
  const facts = [hit.folders.join("/"), clock(hit.duration), hit.sample_rate ? `${hit.sample_rate / 1000} kHz` : ""];
  part(".facts").replaceChildren(...facts.filter(Boolean).map((text) => element("span", text)));
  part(".figure").textContent = probability(hit.probability);
  part(".figure").title = "probability; bars compare the odds with the best";
  part(".bar > span").style.width = `${bar}%`;
  if (hit.spectrogram) part("img").src = backend.address(hit.spectrogram);
  else {
    const canvas = document.createElement("canvas");
    part("img").replaceWith(canvas);
    unseen.observe(canvas);
  }
  part(".play").setAttribute("aria-label", `Play ${hit.name}`);
  part("input").max = Math.min(LONGEST_CLIP, hit.duration - hit.start);
  part("input").setAttribute("aria-label", `Position in ${hit.name}`);
  part("input").addEventListener("input", (event) => seek(node, Number(event.target.value)));
  const whole = !(hit.start > 0 || hit.duration - hit.end > 0.05);
  part(".where").hidden = whole;
  part(".where .text").textContent = `${clock(hit.start)} to ${clock(hit.end)} of ${clock(hit.duration)}`;
  part(".strip > span").style.left = `${(100 * hit.start) / hit.duration}%`;
  part(".strip > span").style.width = `max(3px, ${(100 * (hit.end - hit.start)) / hit.duration}%)`;
  part('[data-do="favourite"]').setAttribute("aria-pressed", String(isFavourite(hit)));
  part('[data-do="reveal"]').hidden = !state.now?.can_reveal;
  part('[data-do="explain"]').hidden = !backend.explain;
  part("a").href = backend.address(hit.file);
  for (const each of node.querySelectorAll("[data-do], a.plain"))
    if (!each.hasAttribute("aria-label")) each.setAttribute("aria-label", `${each.textContent}: ${hit.name}`);
  node.addEventListener("dragstart", (event) => {
    const address = new URL(backend.address(hit.file), location.href).href;
    event.dataTransfer.setData("DownloadURL", `audio/*:${hit.name}:${address}`); // Chromium makes a file of it
    event.dataTransfer.setData("text/uri-list", address);
  });
  return node;
}

$("hits").addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-do]");
  const node = event.target.closest(".hit");
  if (!pressed) { if (node && !event.target.closest("a, input")) select(node, true); return; }
  act(pressed.dataset.do, node);
});

function act(wanted, node) {
  const hit = node?.hit;
  if (!hit) return;
  if (wanted === "play") select(node, state.chosen !== node || player.paused);
  if (wanted === "similar") {
    player.pause();
    state.like = { like: hit.path, library: hit.library, start: hit.start };
    search().then(() => $("heading").focus({ preventScroll: true }));
  }
  if (wanted === "explain") explain(hit);
  if (wanted === "favourite") favourite(hit, node);
  if (wanted === "copy") navigator.clipboard?.writeText(hit.path).then(() => tell(`Copied ${hit.path}`), () => tell(hit.path));
  if (wanted === "reveal") backend.reveal(hit).catch((error) => problem(error.message));
}
const tell = (text) => ($("told").textContent = text);
$("back").addEventListener("click", () => { state.like = null; search(); });

async function explain(hit) {
  const body = $("why").querySelector(".body");
  body.replaceChildren(element("p", "Asking the system…", "working"));
  $("why").showModal();
  try {
    const values = wish();
    values.set("path", hit.path);
    values.set("library", hit.library);
    values.set("at", hit.start);
    const frame = document.createElement("iframe");
    frame.title = "Why this sound";
    frame.setAttribute("sandbox", "");
    frame.srcdoc = await backend.explain(values, state.like ? null : state.take?.blob);
    body.replaceChildren(frame);
  } catch (error) {
    body.replaceChildren(element("p", error.message, "working"));
  }
}

// ---- playing

function select(node, play = true) {
  state.chosen?.classList.remove("chosen");
  const other = state.chosen !== node;
  state.chosen = node;
  node.classList.add("chosen");
  if (document.activeElement?.closest(".hit") !== node) node.focus({ preventScroll: true });
  node.scrollIntoView({ block: "nearest" });
  if (!play) return player.pause();
  if (other || player.hit !== node.hit) return playAddress(backend.address(node.hit.clip), node.hit);
  if (player.ended || player.currentTime >= begin(node.hit) + LONGEST_CLIP) player.currentTime = begin(node.hit);
  player.play().catch(() => {});
}

function playAddress(address, hit) {
  player.hit = hit;
  player.src = address;
  player.play().catch(() => {});
}

const LONGEST_CLIP = 8, LONGEST_DRAWN = 120; // seconds
const begin = (hit) => hit.begins ?? 0; // seconds; a static site plays from within the file

function seek(node, to) {
  select(node, true);
  const move = () => (player.currentTime = begin(node.hit) + to);
  if (player.readyState >= 1) move();
  else player.addEventListener("loadedmetadata", move, { once: true });
}

function showPlaying() {
  for (const node of $("hits").children) {
    const mine = node.hit === player.hit;
    node.querySelector(".play").setAttribute("aria-pressed", String(mine && !player.paused));
    if (!mine) continue;
    const slider = node.querySelector("input");
    slider.value = player.currentTime - begin(node.hit);
    node.style.setProperty("--done", `${Math.min(100, (100 * slider.value) / Number(slider.max || 1))}%`);
  }
  if (!player.paused) requestAnimationFrame(showPlaying);
}
for (const change of ["play", "pause", "ended", "seeked"]) player.addEventListener(change, showPlaying);
player.addEventListener("error", () => state.chosen && player.hit === state.chosen.hit && state.chosen.classList.add("unplayable"));

// ---- favourites, kept in this browser

const isFavourite = (hit) => favourites.some((each) => each.path === hit.path && each.library === hit.library);
function favourite(hit, node) {
  const keep = !isFavourite(hit);
  favourites = favourites.filter((each) => each.path !== hit.path || each.library !== hit.library);
  if (keep) favourites.push({ path: hit.path, library: hit.library, clip: hit.clip, file: hit.file });
  node?.querySelector('[data-do="favourite"]').setAttribute("aria-pressed", String(keep));
  showFavourites();
}
function showFavourites() {
  store("vocalsketch.favourites", favourites);
  $("favourite-count").textContent = favourites.length;
  $("favourites").replaceChildren(...favourites.map((each) => {
    const item = document.createElement("li");
    const play = element("button", "▶", "round");
    play.type = "button";
    play.setAttribute("aria-label", `Play ${each.path}`);
    play.addEventListener("click", () => playAddress(backend.address(each.clip), null));
    const link = element("a", each.path);
    link.href = backend.address(each.file);
    link.download = "";
    const gone = element("button", "Remove", "plain");
    gone.type = "button";
    gone.addEventListener("click", () => { favourite(each, null); showTakes(); });
    item.append(play, " ", link, " ", gone);
    return item;
  }));
}

// ---- keys and fields

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("why").open) return;
  const field = event.target.closest("input:not([type=range]), select, textarea");
  if (field) return;
  const cards = [...$("hits").children];
  const place = cards.indexOf(state.chosen);
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const step = { ArrowDown: 1, ArrowUp: -1 }[key];
  const wanted = { m: "similar", f: "favourite", c: "copy" }[key];
  if (key === "r") $("record").click();
  else if (key === "/") { event.preventDefault(); $("words").focus(); }
  else if (step && cards.length && event.target.type !== "range") {
    event.preventDefault();
    select(cards[Math.max(0, Math.min(cards.length - 1, place < 0 ? (step > 0 ? 0 : cards.length - 1) : place + step))]);
  } else if (key === " " && state.chosen && !event.target.closest("button, a, summary")) { event.preventDefault(); act("play", state.chosen); }
  else if (key === "Enter" && event.target.classList?.contains("hit")) select(event.target);
  else if (wanted && state.chosen) act(wanted, state.chosen);
});
let typing;
for (const id of ["words", "folder"]) $(id).addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, 400); });
for (const id of ["count", "system"]) $(id).addEventListener("change", () => { if (id === "system") showAspects(); search(); });

function element(name, text, kind = "") {
  const node = document.createElement(name);
  node.textContent = text;
  if (kind) node.className = kind;
  return node;
}
function clock(seconds) {
  if (seconds < 60) return `${Number(seconds.toFixed(2))} s`;
  const whole = Math.floor(seconds), two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
const probability = (value) => value > 0.999 ? "> 0.999" : value >= 0.001 ? value.toFixed(3) : value.toExponential(1);

showFavourites();
refresh();
