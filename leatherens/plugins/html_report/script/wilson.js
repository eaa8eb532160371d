// Numbers as the page writes them (table.py) and the 95 % Wilson interval of a share (verdict.py).

const NORMAL_975 = 1.959963984540054;

function wilson(count, total) {
  const share = count / total;
  const square = NORMAL_975 ** 2;
  const centre = share + square / (2 * total);
  const reach = NORMAL_975 * Math.sqrt((share * (1 - share)) / total + square / (4 * total ** 2));
  const scale = 1 + square / total;
  return [count ? (centre - reach) / scale : 0, count < total ? (centre + reach) / scale : 1];
}

function percent(value) {
  const shown = value >= 0.001 || value === 0 ? (100 * value).toFixed(1) : Number((100 * value).toPrecision(2));
  return `${shown}\u00a0%`;
}

function number(value, digits = 4) {
  return Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : "–";
}
