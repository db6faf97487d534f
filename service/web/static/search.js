// First-stage hits at once, the final order after; "why this page" in place; results by keyboard.
import { typing } from "./app.js";
import { evidence, overlay } from "./light.js";

const results = document.querySelector("#results");
const form = document.querySelector("form.ask");
let asking = new AbortController();
let chosen = -1;

async function fragment(params, signal) {
  const asked = new URLSearchParams(params);
  asked.set("fragment", "1");
  const answer = await fetch(`/search?${asked}`, { signal, headers: { Accept: "text/html" } });
  return answer.text();
}

function show(html) {
  const swap = () => {
    results.innerHTML = html;
    ready();
  };
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (document.startViewTransition && !calm) {
    for (const hit of results.querySelectorAll(".hit")) name(hit);
    document.startViewTransition(() => {
      swap();
      for (const hit of results.querySelectorAll(".hit")) name(hit);
    });
  } else {
    swap();
  }
}

function name(hit) {
  hit.style.viewTransitionName = `hit-${CSS.escape(hit.dataset.page.replace(/[^A-Za-z0-9]/g, "-"))}`;
}

async function ask(params) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  results.classList.add("busy");
  try {
    if ((params.get("rerank") || "auto") !== "off") {
      const first = new URLSearchParams(params);
      first.set("rerank", "off");
      show(await fragment(first, signal));
      results.classList.add("busy");
    }
    show(await fragment(params, signal));
    results.classList.remove("busy");
    document.title = `${params.get("q")} · recto`;
  } catch (error) {
    if (error.name !== "AbortError") location.assign(`/search?${params}`);
  }
}

form?.addEventListener("submit", (event) => {
  const params = new URLSearchParams(new FormData(form));
  for (const [key, value] of [...params]) if (!value) params.delete(key);
  if (!params.get("q")?.trim()) return;
  event.preventDefault();
  history.pushState({ asked: true }, "", `/search?${params}`);
  ask(params);
});
addEventListener("popstate", () => location.reload());

for (const control of form?.querySelectorAll("select") ?? []) {
  control.addEventListener("change", () => form.q.value.trim() && form.requestSubmit());
}

// Where the operator keeps judgements, a page that is opened counts as one; without scripts none is kept.
results?.addEventListener("click", (event) => {
  const hit = event.target.closest("a")?.closest(".hit");
  if (!hit || !("judging" in results.dataset)) return;
  const query = new URLSearchParams(location.search).get("q");
  const body = JSON.stringify({ query, page_id: hit.dataset.page });
  fetch("/v1/judgements", { method: "POST", keepalive: true, headers: { "Content-Type": "application/json" }, body });
});

function ready() {
  chosen = -1;
  for (const hit of results.querySelectorAll(".hit")) {
    const button = hit.querySelector(".why");
    hit.querySelector(".why-link").hidden = true;
    button.hidden = false;
    button.setAttribute("aria-pressed", String(Boolean(hit.querySelector(".light"))));
    button.addEventListener("click", () => why(hit, button));
  }
}

async function why(hit, button) {
  const picture = hit.querySelector(".hit-picture");
  const there = picture.querySelector(".light");
  if (there) {
    there.remove();
    button.setAttribute("aria-pressed", "false");
    return;
  }
  button.setAttribute("aria-pressed", "true");
  try {
    const query = new URLSearchParams(location.search).get("q") ?? form.q.value;
    const found = await evidence(`/v1/pages/${hit.dataset.page}/evidence`, query);
    picture.append(overlay(found.cells));
  } catch (error) {
    button.setAttribute("aria-pressed", "false");
    button.textContent = error.message;
  }
}

document.addEventListener("keydown", (event) => {
  if (typing(event) || !results) return;
  const hits = [...results.querySelectorAll(".hit")];
  if (!hits.length) return;
  if (event.key === "j" || event.key === "k") {
    event.preventDefault();
    const step = event.key === "j" ? 1 : -1;
    chosen = Math.min(Math.max(chosen + step, 0), hits.length - 1);
    hits.forEach((hit, place) => hit.classList.toggle("chosen", place === chosen));
    hits[chosen].querySelector("h3 a").focus();
    hits[chosen].scrollIntoView({ block: "nearest" });
  } else if (event.key === "e" && chosen >= 0) {
    hits[chosen].querySelector(".why").click();
  }
});

if (results) ready();
