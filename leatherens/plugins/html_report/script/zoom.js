// The pictures of the enlarged image, zoomed and moved together: by wheel, finger, mouse and double click.

const MOST_ZOOM = 16;
const CLOSER = 3; // what a double click zooms
const view = { scale: 1, x: 0, y: 0 }; // x, y: where a picture's corner lies, in widths and heights of its frame

function place() {
  stage.classList.toggle("zoomed", view.scale > 1); // a finger scrolls the page until there is something to move
  for (const axis of ["x", "y"]) view[axis] = Math.min(0, Math.max(1 - view.scale, view[axis]));
  for (const { firstElementChild: picture } of stage.querySelectorAll(".frame")) {
    picture.style.transform = `translate(${100 * view.x}%, ${100 * view.y}%) scale(${view.scale})`;
  }
  if (view.scale > 1) showFullSize();
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

function whole() {
  Object.assign(view, { scale: 1, x: 0, y: 0 });
  place();
}

function boxOf(event) {
  return event.target.closest(".frame")?.getBoundingClientRect();
}

const fingers = new Map(); // pointer -> where it was last, in pixels of the frame that was touched
let touched = null; // that frame's box

function startPointer(event) {
  const box = event.button === 0 && boxOf(event);
  if (!box) return;
  if (!fingers.size) touched = box;
  fingers.set(event.pointerId, [event.clientX - touched.left, event.clientY - touched.top]);
  if (view.scale === 1 && fingers.size === 1) return;
  event.preventDefault();
  for (const id of fingers.keys()) stage.setPointerCapture(id);
}

function movePointer(event) {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const now = [event.clientX - touched.left, event.clientY - touched.top];
  fingers.set(event.pointerId, now);
  const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
  if (other) {
    const apart = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
    zoom(apart(now) / apart(before), other[0] / touched.width, other[1] / touched.height);
  } else if (view.scale > 1) {
    shift((now[0] - before[0]) / touched.width, (now[1] - before[1]) / touched.height);
  }
}

function startZoom() {
  stage.addEventListener(
    "wheel",
    (event) => {
      const box = boxOf(event);
      if (!box) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    },
    { passive: false },
  );
  stage.addEventListener("dblclick", (event) => {
    if (view.scale > 1) return whole(); // then the stage holds the pointer, and is what was clicked
    const box = boxOf(event);
    if (box) zoom(CLOSER, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  });
  stage.addEventListener("mousedown", (event) => event.detail > 1 && event.preventDefault()); // selects no word
  stage.addEventListener("pointerdown", startPointer);
  stage.addEventListener("pointermove", movePointer);
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  for (const touch of ["touchstart", "touchmove"]) {
    const two = (event) => event.touches.length > 1 && event.cancelable && event.preventDefault();
    stage.addEventListener(touch, two, { passive: false }); // two fingers are ours, not the page's
  }
}
