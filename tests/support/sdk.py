"""A page that has nothing but the browser SDK: `sdk` is the module, `video.raw` and `video.processed` show tracks."""

from __future__ import annotations

from typing import Any

from .browser import Visitor

PAGE = """async () => {
  document.body.textContent = "";
  for (const name of ["raw", "processed"]) {
    const video = document.createElement("video");
    Object.assign(video, { className: name, muted: true, autoplay: true, playsInline: true });
    document.body.append(video);
  }
  window.show = (name, track) => {
    document.querySelector(`video.${name}`).srcObject = new MediaStream([track]);
  };
  window.sdk = await import("/sdk/aimass-stream.js");
  window.heard = [];
  window.begin = async (options = {}) => {
    const session = await sdk.connect({ url: location.origin, ...options });
    window.session = session;
    for (const name of ["event", "epoch", "status", "ended", "away", "missed"]) {
      session.on(name, (what) => heard.push([name, what]));
    }
    return session;
  };
  window.told = (wanted) => heard.filter(([name]) => name === wanted).map(([, what]) => what);
  window.said = (type) => told("event").filter((event) => event.type === type);
  window.trouble = (promise) => promise.then(() => null, (error) => ({ name: error.constructor.name, error: error.name,
    reason: error.reason ?? "", message: error.message, next: error.next ?? "" }));
}"""


def sdk_page(visitor: Visitor, server: str) -> Visitor:
    visitor.page.goto(f"{server}/healthz")  # any page of that origin will do, and this one has nothing of its own
    visitor.page.evaluate(PAGE)
    return visitor


def run(visitor: Visitor, script: str, *given: Any) -> Any:
    """The body of an async function; `given` is what it was given."""
    return visitor.page.evaluate("async (given) => {" + script + "}", list(given))


def until_dark(visitor: Visitor) -> None:
    """Waits until `video.processed` shows nothing but black."""
    for _ in range(300):
        if visitor.look("processed", (64, 36)).max() < 32:
            return
        visitor.page.wait_for_timeout(30)
    raise AssertionError("the picture is not dark")
