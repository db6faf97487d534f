// Turning pages, zooming and showing evidence by key; every state stays a link.
import { typing } from "./app.js";

const zooms = [...document.querySelectorAll(".zooms a")];
const stage = document.querySelector(".stage");

function zoom(value) {
  const link = zooms.find((one) => one.dataset.zoom === value);
  if (!link) return;
  for (const one of zooms) one.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  stage.className = `stage zoom-${value}`;
  history.replaceState(null, "", link.href);
  for (const turn of document.querySelectorAll(".turn a, .near a, .why-toggle")) {
    const target = new URL(turn.href);
    if (value === "fit") target.searchParams.delete("zoom");
    else target.searchParams.set("zoom", value);
    turn.href = target;
  }
}

for (const link of zooms) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    zoom(link.dataset.zoom);
  });
}

function step(by) {
  const now = zooms.findIndex((link) => link.hasAttribute("aria-current"));
  const next = zooms[Math.min(Math.max(now + by, 0), zooms.length - 1)];
  zoom(next.dataset.zoom);
}

const follow = (selector) => document.querySelector(selector)?.click();
const keys = {
  ArrowLeft: () => follow("a[rel=prev]"),
  ArrowRight: () => follow("a[rel=next]"),
  "+": () => step(1),
  "=": () => step(1),
  "-": () => step(-1),
  0: () => zoom("fit"),
  e: () => follow(".why-toggle"),
};

document.addEventListener("keydown", (event) => {
  if (typing(event) || document.querySelector("dialog[open]") || !keys[event.key]) return;
  const scrolls = event.key.startsWith("Arrow") && stage.scrollWidth > stage.clientWidth && document.activeElement === stage;
  if (scrolls) return;
  event.preventDefault();
  keys[event.key]();
});
