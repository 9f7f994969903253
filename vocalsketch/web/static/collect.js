// Collecting imitations: consent, then one sound after another, then search tasks where a study asks.
import { Recorder, draw, levels } from "./recorder.js";

const $ = (id) => document.getElementById(id);
const player = $("player");
const WORDS = ["not at all", "a little", "fairly", "well", "very well"];
let me, invitation, order = [], done = new Set(), current = null, task = null, tasks = null, deadline;

async function ask(method, address, body, kind = "application/json") {
  const response = await fetch(`api/${address}`, { method, body, headers: body ? { "Content-Type": kind } : {} });
  if (response.ok) return response.status === 204 ? null : response.json();
  let reason = `The server answered ${response.status}.`;
  try { reason = (await response.json()).error ?? reason; } catch { /* no JSON */ }
  throw new Error(reason);
}
const send = (address, values) => ask("POST", address, JSON.stringify(values));
function problem(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error?.message ?? "";
}
const guarded = (work) => async (...given) => { problem(null); try { await work(...given); } catch (error) { problem(error); } };
function show(name) { for (const id of ["welcome", "task", "opinion", "thanks"]) $(id).hidden = id !== name; }

const start = guarded(async () => {
  invitation = await ask("GET", "collect/invitation");
  const known = new URLSearchParams(location.search).get("participant");
  if (known) return proceed(await ask("GET", `collect/progress?participant=${encodeURIComponent(known)}`));
  $("consent").textContent = invitation.consent;
  $("extent").textContent = `${invitation.sounds} sounds${invitation.study ? ", then some searches" : ""}. Stop whenever you like and go on later.`;
  show("welcome");
});
$("agree").addEventListener("change", () => ($("begin").disabled = !$("agree").checked));
$("begin").addEventListener("click", guarded(async () => proceed(await send("collect/participants", { agreed: true }))));

function proceed(progress) {
  me = progress.participant;
  order = progress.order;
  done = new Set(progress.done);
  history.replaceState(null, "", `?participant=${me}`);
  $("resume").hidden = false;
  $("resume").textContent = `To go on later, keep this address: ${location.href}`;
  nextSound();
}

async function nextSound() {
  current = order.find((number) => !done.has(number) && number !== current) ?? order.find((number) => !done.has(number));
  if (current === undefined) return invitation.study ? guarded(nextTask)() : show("thanks");
  const place = order.length - order.filter((number) => !done.has(number)).length;
  $("task-name").textContent = `Sound ${place + 1} of ${order.length}`;
  $("progress").max = order.length;
  $("progress").value = place;
  fresh(`api/collect/sound?number=${current}`, "Imitate", "Next sound", "Skip this one");
}

function fresh(address, verb, next, skip) {
  $("listen").dataset.address = address;
  $("record-label").textContent = verb;
  $("record").dataset.verb = verb;
  $("record").disabled = true; // listen first
  $("next").textContent = next;
  $("next").disabled = true;
  $("skip").textContent = skip;
  for (const id of ["back-step", "rate-step", "wave", "found"]) $(id).hidden = true;
  $("next").hidden = Boolean(task);
  show("task");
  $("task-name").focus();
}

function play(address) { player.src = address; player.play().catch(() => {}); }
$("listen").addEventListener("click", () => { play($("listen").dataset.address); $("record").disabled = false; beginClock(); });
$("listen-back").addEventListener("click", () => play($("listen-back").dataset.address));
$("skip").addEventListener("click", guarded(async () => {
  if (task) return endTask(null);
  order = [...order.filter((number) => number !== current), current];
  nextSound();
}));
$("next").addEventListener("click", () => nextSound());

const recorder = new Recorder({
  level: (value) => ($("level").value = value),
  told: (text) => ($("recorder-note").textContent = text),
  begun: () => { $("record").setAttribute("aria-pressed", "true"); $("record-label").textContent = "Stop"; player.pause(); },
  ended: guarded(async (blob) => {
    $("record").setAttribute("aria-pressed", "false");
    $("record-label").textContent = task ? "Search again" : "Imitate again";
    $("level").value = 0;
    if (!blob) return;
    if (task) return searched(blob);
    const take = await ask("POST", `collect/take?participant=${me}&sound=${current}`, blob, "application/octet-stream");
    $("recorder-note").textContent = take.warnings.join(" ") || `Kept, ${take.seconds.toFixed(1)} s. Take it again if you like; the last one counts.`;
    $("listen-back").dataset.address = URL.createObjectURL(blob);
    const heard = await levels(blob);
    $("wave").hidden = !heard;
    if (heard) draw($("wave"), { levels: heard, name: "Your imitation", heard: null });
    for (const id of ["back-step", "rate-step"]) $(id).hidden = false;
    for (const each of $("rating").querySelectorAll("input")) each.checked = false;
    $("next").disabled = true; // the rating frees it
  }),
});
$("record").addEventListener("click", () => recorder.toggle(invitation.seconds));
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "r" && !event.ctrlKey && !event.metaKey && !event.target.closest("input[type=text]") && !$("task").hidden && !$("record").disabled) $("record").click();
});
WORDS.forEach((word, place) => {
  const label = document.createElement("label");
  const choice = Object.assign(document.createElement("input"), { type: "radio", name: "satisfaction", value: place + 1 });
  choice.addEventListener("change", guarded(async () => {
    await send("collect/rating", { participant: me, sound: current, satisfaction: place + 1 });
    done.add(current);
    $("next").disabled = false;
    $("next").focus();
  }));
  label.append(choice, word);
  $("rating").append(label);
});

// ---- search tasks of a study

async function nextTask() {
  tasks = await ask("GET", `study/tasks?participant=${me}`);
  if (tasks.done >= tasks.count) return opinion();
  task = { number: tasks.done };
  $("task-name").textContent = `Find this sound by voice: ${tasks.done + 1} of ${tasks.count}`;
  $("progress").max = tasks.count;
  $("progress").value = tasks.done;
  fresh(`api/study/target?participant=${me}&task=${task.number}`, "Search", "", "Give up");
}
function beginClock() {
  if (!task || deadline) return;
  deadline = setTimeout(() => { $("recorder-note").textContent = "Time is up."; guarded(endTask)(null); }, tasks.seconds * 1000);
}
async function searched(blob) {
  const results = await ask("POST", `study/search?participant=${me}&task=${task.number}`, blob, "application/octet-stream");
  $("found").hidden = false;
  $("found").replaceChildren(...results.hits.map((hit) => {
    const item = document.createElement("li");
    const listen = Object.assign(document.createElement("button"), { type: "button", className: "round", textContent: "▶" });
    listen.setAttribute("aria-label", `Play result ${hit.rank}`);
    listen.addEventListener("click", () => play(`api/${hit.clip}`));
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: `Result ${hit.rank}` });
    const take = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: "This is it" });
    take.setAttribute("aria-label", `Result ${hit.rank} is the sound`);
    take.addEventListener("click", () => guarded(endTask)(hit.path));
    item.append(listen, name, take);
    return item;
  }));
}
async function endTask(chosen) {
  clearTimeout(deadline);
  deadline = null;
  await send("study/end", { participant: me, task: task.number, chosen });
  await nextTask();
}

function opinion() {
  task = null;
  $("statements").replaceChildren(...tasks.statements.map((text, place) => {
    const box = document.createElement("fieldset");
    const scale = Object.assign(document.createElement("div"), { className: "scale" });
    for (let value = 1; value <= 5; value++) {
      const label = document.createElement("label");
      label.append(Object.assign(document.createElement("input"), { type: "radio", name: `s${place}`, value, required: true }), value);
      scale.append(label);
    }
    box.append(Object.assign(document.createElement("legend"), { textContent: text }), scale);
    return box;
  }), Object.assign(document.createElement("button"), { className: "strong", textContent: "Send" }));
  show("opinion");
}
$("statements").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  const values = new FormData(event.target);
  const answers = tasks.statements.map((_, place) => Number(values.get(`s${place}`)));
  await send("study/opinion", { participant: me, answers });
  show("thanks");
}));

start();
