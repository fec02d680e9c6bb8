// Texts whose contrast with what is behind them is below 4.5, as WCAG 2 counts it.
(() => {
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const linear = (x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((x) => linear(x / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const hasText = (element) => element.checkVisibility() && !["SCRIPT", "STYLE"].includes(element.tagName)
    && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  const contrast = (element) => {
    const pair = [parts(getComputedStyle(element).color), behind(element)].map(light);
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  };
  return [...document.querySelectorAll("body *")].filter(hasText)
    .map((element) => [`${element.className} ${element.textContent.slice(0, 30)}`, contrast(element)])
    .filter(([, found]) => found < 4.5);
})()
