// The photograph at full size, fetched from where it lies only when a reader asks for it, by zooming or by F.

const fullTold = document.getElementById("full-told");
const fullButton = document.getElementById("full-size");
let fullAsked = false; // for this image and the next ones
let fullTried = null; // the card whose photograph was asked for

function tellFull(sentence) {
  fullTold.textContent = sentence;
  arrange(); // a long sentence takes room from the pictures
}

function tellSmall(card) {
  fullTried = null;
  tellFull(card.dataset.full ? `${card.dataset.lies}: the small picture; zooming in or F fetches the photograph.` : "");
}

function askFullSize(asked) {
  fullAsked = asked;
  fullButton.setAttribute("aria-pressed", asked);
  if (asked) showFullSize();
}

function showFullSize() {
  const card = enlarged;
  if (fullTried === card) return;
  fullTried = card;
  const { full, lies } = card.dataset;
  if (full === undefined) return tellFull("This photograph lies in no file that is known: there is the small picture only.");
  if (!full) return tellFull(`No browser shows files like ${lies}; the small picture remains.`);
  const picture = new Image();
  picture.addEventListener("load", () => {
    if (card !== enlarged || !lightbox.open) return;
    putInPlace(picture);
    tellFull(`${lies}, ${picture.naturalWidth} × ${picture.naturalHeight} pixels.`);
  });
  picture.addEventListener("error", () => {
    if (card !== enlarged) return;
    tellFull(
      `The photograph was looked for at ${lies} and is not there or cannot be shown: it has moved since this ` +
        "report was written, or the report has. The small picture remains.",
    );
  });
  tellFull(`Fetching ${lies}.`);
  picture.src = full;
}

// Both drawings of the photograph, the second with its outline, are of one element.
function putInPlace(picture) {
  const small = stage.querySelector('[id^="large-photo-"]');
  const large = document.createElementNS(small.namespaceURI, "image");
  for (const name of ["id", "width", "height"]) large.setAttribute(name, small.getAttribute(name));
  large.setAttribute("preserveAspectRatio", "none");
  large.setAttribute("href", picture.src);
  small.replaceWith(large);
}
