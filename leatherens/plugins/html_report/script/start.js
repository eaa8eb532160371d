// What starts when the page is read.

startThresholds();
