// Follows running jobs by server-sent events.
const STATES = ["queued", "running", "done", "failed", "cancelled"];

for (const row of document.querySelectorAll("[data-job]")) {
  const source = new EventSource(`/v1/jobs/${row.dataset.job}/events`);
  const whole = "reload" in row.dataset ? document : row;
  const update = ({ pages_done: done, pages_total: total, status, document: name, page, to_read: left }) => {
    const bar = row.querySelector("progress");
    bar.max = Math.max(total, 1);
    bar.value = done;
    row.querySelector("[data-count]").textContent = `${done} of ${total} ${total === 1 ? "page" : "pages"}`;
    const now = row.querySelector("[data-now]");
    if (now && name) now.textContent = `· now ${name}, page ${page}`;
    if (now && left) now.textContent = `· reading words in pictures of ${name}, ${left} ${left === 1 ? "page" : "pages"} left`;
    if (now && name === "") now.textContent = "· putting the index in order";
    const state = whole.querySelector("[data-state]");
    if (state && STATES.includes(status)) {
      const badge = document.createElement("span");
      badge.className = `badge ${status}`;
      badge.textContent = status;
      state.replaceChildren(badge);
    }
  };
  for (const kind of ["job", "progress"]) source.addEventListener(kind, (event) => update(JSON.parse(event.data)));
  source.addEventListener("end", (event) => {
    source.close();
    update(JSON.parse(event.data));
    if ("reload" in row.dataset) location.reload();
  });
}
