// Which pictures of each image are shown: chosen once, for the gallery and for the image that is enlarged.

function chooseLayers() {
  for (const { value, checked } of filters.querySelectorAll("[name=layer]")) {
    lightbox.querySelector(`[name=layer][value="${value}"]`).checked = checked;
    for (const place of [gallery, lightbox]) place.classList.toggle(`no-${value}`, !checked);
  }
  arrange();
}

function startLayers() {
  lightbox.addEventListener("input", ({ target: { value, checked } }) => {
    filters.querySelector(`[name=layer][value="${value}"]`).checked = checked;
    chooseLayers();
    keepAddress();
  });
}
