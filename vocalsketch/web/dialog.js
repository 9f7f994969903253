// The dialog stands outside of the component, so that new content does not close it.
const dialog = document.createElement("dialog");
dialog.id = "explanation";
dialog.setAttribute("aria-label", "Why this sound");
dialog.innerHTML =
  '<form method="dialog"><h2>Why this one</h2><button class="quiet">Close</button></form><div class="body"></div>';
document.body.append(dialog);
const body = dialog.querySelector(".body");

document.addEventListener("vocalsketch:explain", () => {
  body.innerHTML = '<p class="working" role="status">Asking the network…</p>';
  dialog.showModal();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
watch("value", () => {
  const answer = element.querySelector("iframe, .notice");
  if (answer) body.replaceChildren(answer.cloneNode(true));
});
