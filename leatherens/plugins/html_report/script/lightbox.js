// One image enlarged: its pictures side by side, zoomed and moved together.

const lightbox = document.getElementById("lightbox");
const stage = document.getElementById("stage");
const MOST_ZOOM = 16;
const view = { scale: 1, x: 0, y: 0 }; // x, y: where a picture's corner lies, in widths and heights of its frame
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
  place();
}

function place() {
  stage.classList.toggle("zoomed", view.scale > 1); // a finger scrolls the page until there is something to move
  for (const axis of ["x", "y"]) view[axis] = Math.min(0, Math.max(1 - view.scale, view[axis]));
  for (const { firstElementChild: picture } of stage.querySelectorAll(".frame")) {
    picture.style.transform = `translate(${100 * view.x}%, ${100 * view.y}%) scale(${view.scale})`;
  }
}

function zoom(factor, x = 0.5, y = 0.5) {
  const scale = Math.min(MOST_ZOOM, Math.max(1, view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  place();
}

function shift(x, y) {
  view.x += x;
  view.y += y;
  place();
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
  whole: () => zoom(0),
  close: () => lightbox.close(),
};
const KEYS = { ArrowLeft: "previous", ArrowRight: "next", "+": "in", "=": "in", "-": "out", 0: "whole" };
const SHIFTS = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };

function startLightbox() {
  lightbox.addEventListener("click", (event) => ACTS[event.target.closest("[data-act]")?.dataset.act]?.());
  lightbox.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.shiftKey && SHIFTS[event.key]) shift(...SHIFTS[event.key]);
    else if (KEYS[event.key]) ACTS[KEYS[event.key]]();
    else return;
    event.preventDefault();
  });
  lightbox.addEventListener("close", () => {
    view.scale = 1;
    enlarged.focus();
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      const box = event.target.closest(".frame")?.getBoundingClientRect();
      if (!box) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    },
    { passive: false },
  );
  stage.addEventListener("pointerdown", (event) => {
    if (view.scale === 1 || !event.target.closest(".frame")) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!stage.hasPointerCapture(event.pointerId)) return;
    const box = stage.querySelector("figure:not([hidden]) .frame").getBoundingClientRect();
    shift(event.movementX / box.width, event.movementY / box.height);
  });
}
