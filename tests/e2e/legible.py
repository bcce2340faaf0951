"""Whether every text on a page can be read: WCAG 2.2, 1.4.3, computed from what the browser has laid out."""

from typing import Any, Final, cast

from playwright.async_api import Page

# Text that is disabled is exempt from the rule, and is held to it all the same here.
_LOW_CONTRAST: Final = """
(behind) => {
  const rgba = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return numbers.length === 3 ? [...numbers, 1] : numbers;
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const luminance = (colour) => colour.map((value) => value / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    const layers = [];
    for (let at = element; at !== null; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), behind);
  };
  const found = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    const visible = element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
    if (node.textContent.trim() === "" || !visible) continue;
    seen += 1;
    const style = getComputedStyle(element);
    const below = ground(element);
    const [dark, light] = [luminance(below), luminance(over(rgba(style.color), below))].sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${node.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return { seen, found };
}
"""


async def low_contrast(page: Page, *, least: int, behind: tuple[int, int, int] = (0, 0, 0)) -> list[str]:
    """Texts below AA with their ratio. At least `least` texts must be there to judge; `behind` lies below the page."""
    judged = cast(dict[str, Any], await page.evaluate(_LOW_CONTRAST, list(behind)))
    assert judged["seen"] >= least, f"only {judged['seen']} texts are shown"
    return cast(list[str], judged["found"])
