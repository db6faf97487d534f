// Keys that work on every page, and the list of them.
const dialog = document.querySelector("dialog.keys");
const opener = document.querySelector(".keys-open");

export function typing(event) {
  const where = event.target;
  return where.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(where.tagName) || event.ctrlKey || event.metaKey || event.altKey;
}

if (opener && dialog) {
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
}

document.addEventListener("keydown", (event) => {
  if (typing(event) || dialog?.open) return;
  if (event.key === "/") {
    const box = document.querySelector("#q");
    if (!box) return;
    event.preventDefault();
    box.focus();
    box.select();
  } else if (event.key === "?") {
    dialog?.showModal();
  }
});
