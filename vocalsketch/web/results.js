// Runs once, in a component whose content is replaced by each search.
// element: the component; trigger: calls the server; watch: tells of new content.
const card = (node) => node.closest(".hit");
const place = (hit) => ({ sound: hit.dataset.path, start: Number(hit.dataset.start) });
const parts = (hit) => ({
  audio: hit.querySelector("audio"),
  button: hit.querySelector(".play"),
  slider: hit.querySelector("input"),
});
let moveFocus = false;
const spoken = document.createElement("p"); // what a screen reader says when results change
spoken.className = "hidden";
spoken.setAttribute("role", "status");
document.body.append(spoken);

function stopOthers(audio) {
  for (const other of element.querySelectorAll("audio")) if (other !== audio) other.pause();
}

function show(hit) {
  const { audio, button, slider } = parts(hit);
  button.setAttribute("aria-pressed", String(!audio.paused));
  slider.value = audio.currentTime;
  const done = (100 * audio.currentTime) / Number(hit.dataset.seconds);
  hit.classList.add("started");
  hit.style.setProperty("--done", `${Math.min(100, done)}%`);
  if (!audio.paused) requestAnimationFrame(() => show(hit));
}

function play(hit) {
  const { audio } = parts(hit);
  if (!audio.dataset.ready) {
    audio.dataset.ready = "yes";
    for (const change of ["play", "pause", "ended", "seeked"])
      audio.addEventListener(change, () => show(hit));
    audio.addEventListener("error", () => hit.classList.add("unplayable"));
  }
  stopOthers(audio);
  audio.play().catch(() => {});
}

element.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-do]");
  if (!pressed) return;
  const hit = card(pressed);
  const wanted = pressed.dataset.do;
  if (wanted === "play") {
    const { audio } = parts(hit);
    audio.paused ? play(hit) : audio.pause();
    return;
  }
  stopOthers(null);
  if (wanted === "recorded") trigger("recorded", {});
  if (wanted === "similar") trigger("similar", place(hit));
  if (wanted === "explain") {
    document.dispatchEvent(new CustomEvent("vocalsketch:explain"));
    trigger("explain", place(hit));
    return;
  }
  moveFocus = true;
});

element.addEventListener("input", (event) => {
  if (!event.target.matches(".picture input")) return;
  const hit = card(event.target);
  const { audio } = parts(hit);
  const to = Number(event.target.value);
  play(hit);
  if (audio.readyState >= 1) audio.currentTime = to;
  else audio.addEventListener("loadedmetadata", () => (audio.currentTime = to), { once: true });
});

watch("value", () => {
  const heading = element.querySelector("h2");
  if (element.querySelector(".hit")) spoken.textContent = heading.textContent;
  if (moveFocus) {
    heading?.setAttribute("tabindex", "-1");
    heading?.focus({ preventScroll: true });
  }
  const below = element.getBoundingClientRect().top > 0.8 * window.innerHeight; // on a phone
  if (moveFocus || (below && element.querySelector(".hit, .refused")))
    element.scrollIntoView({ block: "start" });
  moveFocus = false;
});
