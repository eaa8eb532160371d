// Two sliders: what the verdicts and the outlines would be at other thresholds than the run's own.
// `null` is the run's own threshold: then everything stands again as the page was written.

const controls = document.getElementById("controls");
const facts = JSON.parse(controls.dataset.facts);
const tried = { image: null, pixel: null };
const LABELS = ["good", "defective", "unlabelled"];
const PIXEL_STEPS = 255; // a pixel's level is above k exactly when its score is above step k of the scale

function imageAt(place) {
  const { low, high, logarithmic } = facts.axis;
  return logarithmic ? low * (high / low) ** place : low + place * (high - low);
}

function placeOf(score) {
  const { low, high, logarithmic } = facts.axis;
  const share = logarithmic ? Math.log(score / low) / Math.log(high / low) : (score - low) / (high - low);
  return Math.min(Math.max(share, 0), 1);
}

function pixelAt(level) {
  const { low, high, threshold } = facts.scale;
  const middle = threshold ?? (low + high) / 2; // of the scale, each half of which is even
  const share = (2 * level) / PIXEL_STEPS;
  return share < 1 ? low + share * (middle - low) : middle + (share - 1) * (high - middle);
}

function isFlagged([score, , own]) {
  return tried.image === null ? own === 1 : score > tried.image;
}

function counted() {
  const counts = LABELS.map(() => [0, 0]); // [not flagged, flagged] of each label
  for (const image of facts.images) counts[image[1]][isFlagged(image) ? 1 : 0] += 1;
  return counts;
}

function showOutcomes(counts) {
  counts.forEach(([passed, flagged], label) => {
    const row = document.getElementById(`outcomes-${LABELS[label]}`);
    if (!row) return;
    const cells = row.querySelectorAll("td");
    cells[0].textContent = passed;
    cells[1].textContent = flagged;
    if (label === 2) return;
    const wrong = label === 0 ? flagged : passed;
    cells[label === 0 ? 1 : 0].classList.toggle("wrong", wrong > 0);
    const [low, high] = wilson(wrong, passed + flagged);
    cells[2].textContent = percent(wrong / (passed + flagged));
    cells[3].textContent = `${percent(low)} to ${percent(high)}`;
  });
}

function showMarks([good, defective]) {
  const moved = tried.image !== null;
  const found = defective[1] / (defective[0] + defective[1]);
  const called = good[1] + defective[1];
  mark("roc", moved, good[1] / (good[0] + good[1]), found);
  mark("precision_recall", moved && called > 0, found, defective[1] / called);
  for (const line of document.querySelectorAll(".tried-line")) {
    line.toggleAttribute("hidden", !moved);
    if (moved) line.setAttribute("transform", `translate(${placeOf(tried.image) * line.dataset.width} 0)`);
  }
}

function mark(curve, shown, x, y) {
  const circle = document.getElementById(`tried-${curve}`);
  if (!circle) return;
  circle.toggleAttribute("hidden", !shown);
  if (!shown) return;
  circle.setAttribute("cx", 300 * x);
  circle.setAttribute("cy", 300 * (1 - y));
}

function showVerdict(card) {
  const image = facts.images[card.dataset.place];
  const flagged = isFlagged(image);
  const outcome = facts.outcomes[LABELS[image[1]]][flagged ? 1 : 0];
  if (card.dataset.outcome !== outcome.key) {
    const badge = card.querySelector(".badge");
    for (const part of [card, badge]) {
      part.classList.remove(card.dataset.outcome);
      part.classList.add(outcome.key);
    }
    badge.textContent = `${outcome.sign} ${outcome.word}`;
    card.dataset.outcome = outcome.key;
  }
  const limit = card.querySelector(".limit");
  limit.dataset.own ??= limit.textContent;
  limit.textContent =
    tried.image === null ? limit.dataset.own : `${flagged ? ">" : "≤"} ${number(tried.image)}`;
}

function showThresholds() {
  const image = tried.image ?? facts.image;
  document.getElementById("image-value").textContent = number(image ?? NaN);
  document.getElementById("pixel-value").textContent = number(
    tried.pixel === null ? (facts.pixel ?? NaN) : pixelAt(tried.pixel),
  );
  const moved = tried.image !== null || tried.pixel !== null;
  document.getElementById("reset").disabled = !moved;
  document.getElementById("moved").hidden = !moved;
  document.body.classList.toggle("moved-image", tried.image !== null);
  const ramp = document.getElementById("tried-pixel");
  ramp.hidden = tried.pixel === null;
  ramp.style.left = `${(100 * (tried.pixel ?? 0)) / PIXEL_STEPS}%`;
}

function everyCard(act) {
  document.querySelectorAll("article.card").forEach(act);
}

function moveImage() {
  const counts = counted();
  showOutcomes(counts);
  showMarks(counts);
  everyCard(showVerdict);
  showThresholds();
  document.dispatchEvent(new Event("verdicts"));
}

function movePixel() {
  showThresholds();
  everyCard((card) => watcher.unobserve(card));
  everyCard((card) => watcher.observe(card)); // tells at once of those in sight; only they are drawn
}

const waiting = new Set(); // a slider tells of more moves than a screen can show
function soon(act) {
  if (waiting.has(act)) return;
  waiting.add(act);
  requestAnimationFrame(() => {
    waiting.delete(act);
    act();
  });
}

const watcher = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => drawOutline(entry.target, tried.pixel)),
  { rootMargin: "200px" },
);

function startThresholds() {
  const image = document.getElementById("image-threshold");
  const pixel = document.getElementById("pixel-threshold");
  function toOwn() {
    image.value = 1000 * (facts.image === null ? 1 : placeOf(facts.image));
    pixel.value = facts.scale.threshold === null ? PIXEL_STEPS : Math.round(PIXEL_STEPS / 2);
    [tried.image, tried.pixel] = [null, null];
  }
  image.addEventListener("input", () => {
    tried.image = imageAt(image.value / 1000);
    soon(moveImage);
  });
  pixel.addEventListener("input", () => {
    tried.pixel = Number(pixel.value);
    soon(movePixel);
  });
  document.getElementById("reset").addEventListener("click", () => {
    toOwn();
    moveImage();
    movePixel();
    image.focus();
  });
  controls.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("beforeprint", () => everyCard((card) => drawOutline(card, tried.pixel)));
  toOwn(); // a browser that goes back to a page fills in where the sliders were
  controls.hidden = false;
  showThresholds();
}
