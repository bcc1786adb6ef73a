// Sparklines.

import { polyline } from "../core/rings";
import { setAttribute } from "./dom";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 90;
const HEIGHT = 18;

/** Values that a sparkline shows: with one look a second, two minutes. */
export const SPARK_LENGTH = 120;

export function makeSpark(): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "polyline"));
  return svg;
}

/** `top`: the value at full height. */
export function drawSpark(svg: Element, values: readonly number[], top: number): void {
  const line = svg.firstElementChild;
  if (line !== null) setAttribute(line, "points", polyline(values, SPARK_LENGTH, WIDTH, HEIGHT, top));
}
