"""A real Chromium whose camera shows our drawn clip and whose microphone hears a spoken one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

from aimass_stream.clips import draw
from aimass_stream.frames import Pixels

from .speech import speak, write_wav

CHROMIUM = Path("/usr/bin/chromium")
CAMERA = (640, 360, 30)  # px, px, pictures a second
CLIP_PICTURES = 60  # then the clip begins again
SHARED_TAB = "A tab to share"
INSECURE = "aimass.test"  # a host name whose plain http is no secure context, unlike 127.0.0.1

# counts the connections a page makes, and lets tests look into the last one
WATCH = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) { super(...given); window.peers.push(this); }
};
"""


def camera_clip(path: Path) -> None:
    """Drawn pictures with their numbers, as Y4M (what Chromium's fake camera reads)."""
    width, height, fps = CAMERA
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(CLIP_PICTURES):
            file.write(b"FRAME\n" + cv2.cvtColor(draw(number, width, height, fps), cv2.COLOR_BGR2YUV_I420).tobytes())


def _arguments(folder: Path, devices: bool) -> list[str]:
    # whoever asks for a screen gets the tab of that title
    arguments = ["--no-sandbox", f"--auto-select-tab-capture-source-by-title={SHARED_TAB}",
                 f"--host-resolver-rules=MAP {INSECURE} 127.0.0.1"]
    if devices:
        camera, voice = folder / "camera.y4m", folder / "voice.wav"
        camera_clip(camera)
        write_wav(voice, speak())
        arguments += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}",
                      f"--use-file-for-fake-audio-capture={voice}"]
    return arguments


def launch(playwright: Playwright, folder: Path, *, devices: bool = True) -> Browser:
    """Chromium; `devices` gives it a camera and a microphone, which pages still have to be granted."""
    return playwright.chromium.launch(executable_path=str(CHROMIUM), args=_arguments(folder, devices))


def launch_extended(playwright: Playwright, folder: Path, extension: Path) -> BrowserContext:
    """Chromium with an extension, which needs a profile of its own. Its devices are granted to all pages."""
    return playwright.chromium.launch_persistent_context(
        folder / "profile", executable_path=str(CHROMIUM), permissions=["camera", "microphone"],
        ignore_default_args=["--disable-extensions"],
        args=[*_arguments(folder, True), f"--disable-extensions-except={extension}", f"--load-extension={extension}"])


class Visitor:
    """A page in a context of its own, or in the given one, and everything its console complained of."""

    def __init__(self, browser: Browser | BrowserContext, *, permissions: list[str] | None = None,
                 **options: Any) -> None:
        viewport = options.pop("viewport", {"width": 1280, "height": 800})
        self.context = (browser if isinstance(browser, BrowserContext)
                        else browser.new_context(viewport=viewport, **options))
        if permissions:
            self.context.grant_permissions(permissions)
        self.context.add_init_script(WATCH)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.unclosed: list[str] = []  # told every 10 s; on a busy machine Chromium forgets one by itself now and then
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            forgotten = message.text.startswith("A VideoFrame was garbage collected")
            (self.unclosed if forgotten else self.complaints).append(message.text)

    def open(self, url: str, *, picture: bool = True) -> Page:
        """Go there; waits for the processed picture unless told otherwise."""
        self.page.goto(url)
        if picture:
            self.page.wait_for_selector(".monitor.has-picture", timeout=30_000)
        return self.page

    def until(self, expression: str, seconds: float = 30) -> Any:
        """Waits until a JavaScript expression is true, answers it. The page's policy forbids playwright's own way."""
        return self.page.evaluate(f"""() => new Promise((resolve, reject) => {{
          const end = performance.now() + {seconds * 1000};
          const look = () => {{
            let value, trouble = "";
            try {{ value = {expression}; }} catch (error) {{ trouble = `${{error}}`; }} // what it asks is not there yet
            if (value) resolve(value);
            else if (performance.now() > end) reject(new Error("it never came: " + {json.dumps(expression)} + trouble));
            else setTimeout(look, 30);
          }};
          look();
        }})""")

    def look(self, video: str, size: tuple[int, int] | None = None) -> Pixels:
        """What `video.raw` or `video.processed` shows now, (h, w, 3) uint8 RGB, of that width and height in px."""
        width, height, data = self.page.evaluate(
            """([selector, size]) => {
              const video = document.querySelector(selector);
              const canvas = new OffscreenCanvas(...(size ?? [video.videoWidth, video.videoHeight]));
              const context = canvas.getContext("2d", { willReadFrequently: true });
              context.drawImage(video, 0, 0, canvas.width, canvas.height);
              const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
              let text = "";
              for (let at = 0; at < data.length; at += 32768) {
                text += String.fromCharCode(...data.subarray(at, at + 32768));
              }
              return [canvas.width, canvas.height, btoa(text)];
            }""", [f"video.{video}", size])
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[:, :, :3]

    def peers(self) -> int:
        """How many WebRTC connections this page has made so far."""
        return int(self.page.evaluate("peers.length"))

    def close(self) -> None:
        self.context.close()
