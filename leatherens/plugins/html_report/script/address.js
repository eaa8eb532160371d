// The choice of images as the end of the address, behind the place on the page, so that it outlives a reload
// and can be sent: report.html#images?outcome=missed&with=member-0

const FIELDS = ["order", "outcome", "defect", "view", "colour", "score-from", "score-to", "text"];
const ADDRESS_WAITS = 250; // ms; browsers refuse an address that changes with every key

const fields = () => FIELDS.map((id) => document.getElementById(id)).filter(Boolean); // not all are offered
const unchosen = (field) => field.options?.[0].value ?? "";

function addressParts() {
  const [place, ...said] = location.hash.slice(1).split("?");
  return [place, said.length ? new URLSearchParams(said.join("?")) : null];
}

function choiceSaid() {
  const said = new URLSearchParams();
  for (const field of fields()) if (field.value !== unchosen(field)) said.set(field.id, field.value);
  for (const box of filters.querySelectorAll("[name=layer]")) {
    if (box.checked !== box.defaultChecked) said.append(box.checked ? "with" : "without", box.value);
  }
  return said.toString();
}

let waitingAddress = 0;
function keepAddress() {
  clearTimeout(waitingAddress);
  waitingAddress = setTimeout(() => {
    const [place] = addressParts();
    const said = choiceSaid();
    const address = said ? `#${place || "images"}?${said}` : `#${place}`;
    if (address === (location.hash || "#")) return;
    try {
      history.replaceState(null, "", address === "#" ? location.href.split("#")[0] : address);
    } catch {
      // a page inside another one may have no address of its own
    }
  }, ADDRESS_WAITS);
}

function setField(field, value) {
  const offered = field.options ? [...field.options].some((option) => option.value === value) : true;
  const fits = field.type === "number" ? Number.isFinite(Number(value)) : offered;
  field.value = value !== null && fits ? value : unchosen(field);
}

function readAddress() {
  const [place, said] = addressParts();
  if (!said) return keepAddress(); // a link within the page: the choice goes along
  for (const field of fields()) setField(field, said.get(field.id));
  const [shown, leftOut] = [said.getAll("with"), said.getAll("without")];
  for (const box of filters.querySelectorAll("[name=layer]")) {
    box.checked = (box.defaultChecked || shown.includes(box.value)) && !leftOut.includes(box.value);
  }
  chooseAgain();
  document.getElementById(place)?.scrollIntoView(); // no browser finds it with a choice behind it
}

function chooseAll() {
  for (const field of fields()) if (field.id !== "order") field.value = unchosen(field);
  chooseAgain();
}

function clearChoice() {
  for (const field of fields()) field.value = unchosen(field);
  for (const box of filters.querySelectorAll("[name=layer]")) box.checked = box.defaultChecked;
  chooseAgain();
}

function startAddress() {
  window.addEventListener("hashchange", readAddress);
  readAddress();
}
