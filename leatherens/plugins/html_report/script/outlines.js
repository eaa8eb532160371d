// Outlines at a pixel threshold. The score map of a card is a picture whose palette paints viridis and whose
// place in the palette is the score's level on the run's scale, so that one picture is both seen and measured.

const levelsOf = new WeakMap(); // card -> {width, height, levels, across, down}, what is not inspected at level 0

const levelOfColour = new Map(
  facts.palette.match(/.{6}/g).map((colour, level) => [parseInt(colour, 16), level]),
);

function readLevels(card) {
  if (levelsOf.has(card)) return levelsOf.get(card);
  const picture = card.querySelector("[data-layer=map] img");
  const { naturalWidth: width, naturalHeight: height } = picture;
  const [across, down] = [picture.getAttribute("width") / width, picture.getAttribute("height") / height];
  const pixels = drawn(width, height, (context) => context.drawImage(picture, 0, 0));
  const levels = new Uint8Array(width * height);
  for (let i = 0; i < levels.length; i += 1) {
    levels[i] = levelOfColour.get((pixels[4 * i] << 16) | (pixels[4 * i + 1] << 8) | pixels[4 * i + 2]) ?? 0;
  }
  const veil = card.querySelector("path.ignored");
  if (veil) {
    const path = new Path2D(veil.getAttribute("d"));
    const veiled = drawn(width, height, (context) => {
      context.scale(1 / across, 1 / down);
      context.translate(0.5, 0.5);
      context.fill(path, "evenodd");
      context.stroke(path);
    });
    for (let i = 0; i < levels.length; i += 1) if (veiled[4 * i + 3] > 127) levels[i] = 0;
  }
  const read = { width, height, levels, across, down };
  levelsOf.set(card, read);
  return read;
}

function drawn(width, height, paint) {
  const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  paint(context);
  return context.getImageData(0, 0, width, height).data;
}

// The borders between pixels above and not above, as straight runs of an SVG path; (.5, .5) is a pixel's middle.
// across, down: how many small pixels, in which all outlines are drawn, a pixel of the map is wide and high.
function border({ width, height, levels, across, down }, level) {
  const [x0, y0] = [across, down].map((step) => (place) => Math.round(100 * (place * step - 0.5)) / 100);

  const above = (x, y) => x >= 0 && y >= 0 && x < width && y < height && levels[y * width + x] > level;
  const runs = [];
  for (let y = 0; y <= height; y += 1) {
    for (let x = 0, from = -1; x <= width; x += 1) {
      const edge = x < width && above(x, y) !== above(x, y - 1);
      if (edge && from < 0) from = x;
      if (!edge && from >= 0) {
        runs.push(`M${x0(from)} ${y0(y)}H${x0(x)}`);
        from = -1;
      }
    }
  }
  for (let x = 0; x <= width; x += 1) {
    for (let y = 0, from = -1; y <= height; y += 1) {
      const edge = y < height && above(x, y) !== above(x - 1, y);
      if (edge && from < 0) from = y;
      if (!edge && from >= 0) {
        runs.push(`M${x0(x)} ${y0(from)}V${y0(y)}`);
        from = -1;
      }
    }
  }
  return runs.join("");
}

async function drawOutline(card, level) {
  if ((card.dataset.level ?? "") === String(level ?? "")) return;
  const outline = card.querySelector("path.predicted");
  const told = card.querySelector(".told");
  outline.dataset.own ??= outline.getAttribute("d");
  told.dataset.own ??= told.textContent;
  card.dataset.level = level ?? "";
  if (level === null) {
    outline.setAttribute("d", outline.dataset.own);
    told.textContent = told.dataset.own;
    return;
  }
  await card.querySelector("[data-layer=map] img").decode();
  if (card.dataset.level !== String(level)) return; // moved on while the picture was decoded
  const read = readLevels(card);
  outline.setAttribute("d", border(read, level));
  const share = read.levels.reduce((sum, value) => sum + (value > level), 0) / read.levels.length;
  told.textContent = share ? `${percent(share)} of the small picture` : "nothing";
}
