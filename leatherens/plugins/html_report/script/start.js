// What starts when the page is read; a report of no image has nothing to move.

startThresholds();
startGallery();
startLightbox();
startZoom();
startLayers();
startAddress();
