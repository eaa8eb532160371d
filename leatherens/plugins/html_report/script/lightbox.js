// One image enlarged: its pictures side by side, as large as the window lets them be.

const lightbox = document.getElementById("lightbox");
const stage = document.getElementById("stage");
const CAPTION = 48; // pixels of a row that are no picture
const LEAST_HEIGHT = 140;
const narrow = window.matchMedia("(max-width: 40rem)");
let enlarged = null;

async function enlarge(card) {
  enlarged = card;
  fullTried = null;
  tellFull("");
  await drawOutline(card, tried.pixel);
  const panels = card.querySelector(".panels").cloneNode(true);
  for (const element of panels.querySelectorAll("[id]")) element.id = `large-${element.id}`;
  for (const element of panels.querySelectorAll("use")) {
    element.setAttribute("href", element.getAttribute("href").replace("#", "#large-"));
  }
  for (const figure of panels.querySelectorAll("figure")) {
    const frame = document.createElement("div");
    frame.className = "frame";
    frame.append(figure.firstElementChild);
    figure.prepend(frame);
  }
  stage.replaceChildren(panels);
  const shown = shownCards();
  const title = document.getElementById("lightbox-title");
  title.textContent = `${nameOf(card)} (${shown.indexOf(card) + 1} of ${shown.length})`;
  const badge = document.getElementById("lightbox-badge");
  badge.className = `badge ${card.dataset.outcome}`;
  badge.textContent = card.querySelector(".badge").textContent;
  if (!lightbox.open) lightbox.showModal();
  arrange();
  place();
  if (fullAsked) showFullSize();
}

// As many columns as make the pictures largest; a narrow window scrolls.
function arrange() {
  const panels = stage.firstElementChild;
  if (!panels || !lightbox.open) return;
  const count = [...panels.children].filter((figure) => figure.getClientRects().length).length;
  const { width, height } = panels.querySelector("svg").viewBox.baseVal;
  const [across, down] = [stage.clientWidth, stage.clientHeight];
  let [columns, best] = [1, 0];
  for (let side = 1; side <= count; side += 1) {
    const high = Math.min((across / side) * (height / width), down / Math.ceil(count / side) - CAPTION);
    if (high > best) [columns, best] = [side, high];
  }
  if (narrow.matches) columns = count > 2 ? 2 : 1;
  panels.style.setProperty("--columns", columns);
  panels.style.setProperty("--height", narrow.matches ? "auto" : `${Math.max(LEAST_HEIGHT, Math.floor(best))}px`);
}

function turnTo(step) {
  const next = neighbour(enlarged, step);
  if (next) enlarge(next);
}

const ACTS = {
  previous: () => turnTo(-1),
  next: () => turnTo(1),
  in: () => zoom(1.5),
  out: () => zoom(1 / 1.5),
  whole,
  full: () => askFullSize(!fullAsked),
  close: () => lightbox.close(),
};
const KEYS = {
  ArrowLeft: "previous",
  ArrowRight: "next",
  PageUp: "previous",
  PageDown: "next",
  "+": "in",
  "=": "in",
  "-": "out",
  0: "whole",
  f: "full",
};
const SHIFTS = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };

function startLightbox() {
  lightbox.addEventListener("click", (event) => ACTS[event.target.closest("[data-act]")?.dataset.act]?.());
  lightbox.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (view.scale > 1 && SHIFTS[event.key]) shift(...SHIFTS[event.key]);
    else if (KEYS[event.key]) ACTS[KEYS[event.key]]();
    else return;
    event.preventDefault();
  });
  lightbox.addEventListener("close", () => {
    whole();
    askFullSize(false);
    fingers.clear();
    enlarged.focus();
  });
  window.addEventListener("resize", arrange);
}
