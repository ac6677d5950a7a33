/** The server's address, as people type it. */

const HERE = /^(localhost|[\d.]+|\[.*\])(:\d+)?(\/|$)/i; // no public name, so hardly with a certificate

/** With the scheme that is most likely where none was typed; null where it is no address. @param {string} typed */
export function addressOf(typed) {
  const text = typed.trim();
  const whole = text.includes("://") ? text : `${HERE.test(text) ? "http" : "https"}://${text}`;
  return /^https?:\S+$/i.test(whole) && URL.canParse(whole) ? new URL(whole) : null;
}
