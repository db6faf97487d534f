// Uploads by drag, folder or choice, with progress, and then follows the job.
const form = document.querySelector("form.drop");

if (form) {
  const state = form.querySelector(".drop-state");
  const input = form.querySelector("#files");
  const folder = form.querySelector(".folder");
  form.querySelector(".drop-hint").hidden = false;
  folder.hidden = false;
  folder.querySelector("input").addEventListener("change", (event) => {
    send([...event.target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
  });
  for (const kind of ["dragenter", "dragover"]) {
    form.addEventListener(kind, (event) => {
      event.preventDefault();
      form.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) form.addEventListener(kind, () => form.classList.remove("over"));
  form.addEventListener("drop", async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const found = (await Promise.all(entries.map((entry) => walk(entry, "")))).flat();
    send(found.length ? found : [...event.dataTransfer.files].map((file) => ({ file, path: file.name })));
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send([...input.files].map((file) => ({ file, path: file.name })));
  });

  async function walk(entry, path) {
    const here = path ? `${path}/${entry.name}` : entry.name;
    if (entry.isFile) {
      const file = await new Promise((done, failed) => entry.file(done, failed));
      return [{ file, path: here }];
    }
    const reader = entry.createReader();
    const inside = [];
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) break;
      inside.push(...some);
    }
    return (await Promise.all(inside.map((one) => walk(one, here)))).flat();
  }

  function send(chosen) {
    const known = /\.(pdf|png|jpe?g|tiff?|webp)$/i;
    const files = chosen.filter(({ file }) => known.test(file.name) || file.type === "application/pdf");
    if (!files.length) return say("There is no PDF or image among these files.");
    const body = new FormData();
    for (const { file, path } of files) body.append("files", file, path);
    const request = new XMLHttpRequest();
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", "Sent");
    const words = document.createElement("p");
    words.textContent = `Sending ${files.length} ${files.length === 1 ? "file" : "files"}…`;
    state.replaceChildren(words, bar);
    request.upload.addEventListener("progress", (event) => {
      bar.max = event.total;
      bar.value = event.loaded;
    });
    request.addEventListener("load", () => landed(request));
    request.addEventListener("error", () => say("The connection broke. Nothing was added; try again."));
    request.open("POST", form.dataset.upload);
    request.send(body);
  }

  function landed(request) {
    const answer = JSON.parse(request.responseText);
    if (request.status !== 202) return say(answer.detail, answer.errors?.map((one) => `${one.file ?? one.field}: ${one.message}`));
    const odd = answer.documents.filter((one) => one.status !== "queued");
    if (odd.length === answer.documents.length) {
      return say("Nothing new:", odd.map((one) => `${one.name}: ${one.reason}`));
    }
    location.assign(`/jobs/${answer.job_id}`);
  }

  function say(text, items = []) {
    const words = document.createElement("p");
    words.textContent = text;
    const list = document.createElement("ul");
    for (const item of items.slice(0, 200)) {
      const line = document.createElement("li");
      line.textContent = item;
      list.append(line);
    }
    state.replaceChildren(words, ...(items.length ? [list] : []));
  }
}
