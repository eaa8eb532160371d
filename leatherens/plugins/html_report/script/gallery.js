// The images: order, choice, and the way from one to the next by keyboard.

const gallery = document.getElementById("gallery");
const filters = document.getElementById("filters");
const cards = [...gallery.querySelectorAll("article.card")];

const scoreOf = (card) => Number(card.dataset.score);
const nameOf = (card) => card.querySelector("h3").lastChild.textContent.trim();
const limitOf = () => tried.image ?? facts.image ?? Infinity;

const ORDERS = {
  falling: (a, b) => a.dataset.place - b.dataset.place,
  rising: (a, b) => b.dataset.place - a.dataset.place,
  near: (a, b) => Math.abs(scoreOf(a) - limitOf()) - Math.abs(scoreOf(b) - limitOf()),
  name: (a, b) => nameOf(a).localeCompare(nameOf(b), "en", { numeric: true }),
};

function chosenValue(id) {
  return document.getElementById(id)?.value ?? "";
}

function isChosen(card) {
  const outcomes = chosenValue("outcome");
  if (outcomes && !outcomes.split(" ").includes(card.dataset.outcome)) return false;
  for (const kind of ["defect", "view", "colour"]) {
    const wanted = chosenValue(kind);
    if (wanted.startsWith("is ") && card.dataset[kind] !== wanted.slice(3)) return false;
  }
  const [from, to] = [chosenValue("score-from"), chosenValue("score-to")];
  if (from !== "" && scoreOf(card) < Number(from)) return false;
  if (to !== "" && scoreOf(card) > Number(to)) return false;
  return nameOf(card).toLowerCase().includes(chosenValue("text").trim().toLowerCase());
}

function shownCards() {
  return [...gallery.children].filter((card) => !card.hidden);
}

function chooseCards() {
  const focused = document.activeElement;
  cards.sort(ORDERS[chosenValue("order")]).forEach((card) => {
    card.hidden = !isChosen(card);
  });
  const stands = [...gallery.children].every((card, place) => card === cards[place]);
  if (!stands) gallery.append(...cards);
  if (gallery.contains(focused) && !focused.closest("[hidden]")) focused.focus({ preventScroll: true });
  const shown = shownCards().length;
  const none = shown ? "" : " None is as chosen; Clear shows all.";
  document.getElementById("count").textContent = `${shown} of ${cards.length} images shown.${none}`;
}

function chooseAgain() {
  chooseCards();
  chooseLayers();
  keepAddress();
}

function neighbour(card, step) {
  const shown = shownCards();
  const place = shown.indexOf(card);
  return place < 0 ? shown[0] : shown[place + step];
}

function startGallery() {
  filters.addEventListener("input", chooseAgain);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", (event) => {
    event.preventDefault(); // it would tell before it is done
    clearChoice();
  });
  document.addEventListener("verdicts", chooseCards);
  gallery.addEventListener("keydown", (event) => {
    const card = event.target.closest("article.card");
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target !== card) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Enter") enlarge(card);
    else if (step) neighbour(card, step)?.focus();
    else return;
    event.preventDefault();
  });
  gallery.addEventListener("click", (event) => {
    if (event.target.closest(".panels, .enlarge")) enlarge(event.target.closest("article.card"));
  });
  document.addEventListener("click", (event) => {
    const name = event.target.closest('a[href^="#image-"]')?.getAttribute("href").slice(1);
    if (name && document.getElementById(name).hidden) chooseAll(); // a link leads to what a choice hid
  });
  cards.forEach((card) => {
    card.querySelector(".enlarge").hidden = false;
  });
  clearChoice(); // a browser that goes back to a page fills in what was chosen
  filters.hidden = false;
}
