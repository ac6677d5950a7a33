/** Numbers for people. */

const NOTHING = 1e-12; // next to 0 is 0: what a bin below 0 ends with

/** Three digits that mean something, or as many as are said, and no exponent. @param {number} value */
export function short(value, digits = 3) {
  const rounded = Math.abs(value) < NOTHING ? 0 : Number(value.toPrecision(digits));
  return rounded.toLocaleString("en", { useGrouping: false, maximumSignificantDigits: digits });
}
