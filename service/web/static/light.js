// Lays the evidence of a query over the picture of a page.
const FAINT = 0.5;
const SVG = "http://www.w3.org/2000/svg";

export async function evidence(url, query) {
  const answer = await fetch(`${url}?query=${encodeURIComponent(query)}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.json();
}

// The whole page, as single-vector models give it, points nowhere.
const place = (box) => (box.x1 - box.x0) * (box.y1 - box.y0) < 0.6;

export function overlay(cells) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "light");
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const found = cells.filter((cell) => cell.similarity > 0 && place(cell.box));
  const most = Math.max(...found.map((cell) => cell.similarity), 0);
  const shown = found.filter((cell) => cell.similarity >= FAINT * most); // what is far weaker is noise
  for (const { box, similarity } of shown) {
    const rect = document.createElementNS(SVG, "rect");
    const place = { x: box.x0, y: box.y0, width: box.x1 - box.x0, height: box.y1 - box.y0 };
    for (const [name, value] of Object.entries(place)) rect.setAttribute(name, value);
    rect.setAttribute("fill-opacity", (0.55 * similarity / most).toFixed(2));
    svg.append(rect);
  }
  return svg;
}
