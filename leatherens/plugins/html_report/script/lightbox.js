// One image enlarged: its pictures side by side, as large as the window lets them be.

const lightbox = document.getElementById("lightbox");
const stage = document.getElementById("stage");
const [CAPTION, GAP] = [44, 12]; // pixels below and between pictures
const LEAST_HEIGHT = 140;
const narrow = window.matchMedia("(max-width: 40rem)");
let enlarged = null;

async function enlarge(card) {
  enlarged = card;
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
  tellSmall(card);
  place();
  if (fullAsked) showFullSize();
}

// As many columns as make the pictures largest; a narrow window scrolls, with two side by side.
function arrange() {
  const panels = stage.firstElementChild;
  if (!panels || !lightbox.open) return;
  const count = [...panels.children].filter((figure) => figure.getClientRects().length).length;
  const { width, height } = panels.querySelector("svg").viewBox.baseVal;
  const [across, down] = [stage.clientWidth, stage.clientHeight];
  let [columns, best] = [1, 0];
  for (let side = 1; side <= count; side += 1) {
    const wide = (across - GAP * (side - 1)) / side;
    const high = Math.min((wide * height) / width, down / Math.ceil(count / side) - CAPTION);
    if (high > best) [columns, best] = [side, high];
  }
  best = Math.max(LEAST_HEIGHT, best);
  const [side, column] = narrow.matches ? [Math.min(count, 2), "1fr"] : [columns, `${Math.floor((best * width) / height)}px`];
  panels.style.gridTemplateColumns = `repeat(${side}, ${column})`;
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
