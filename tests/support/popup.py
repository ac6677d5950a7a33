"""An extension's popup as its user has it: over the tab that is in front. Playwright knows no popups."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import BrowserContext, Page, Worker


class Popup:
    """Open until the end of the block, or until the page is touched: browsers close popups then."""

    def __init__(self, context: BrowserContext, worker: Worker, page: Page) -> None:
        assert context.browser is not None
        self._page = page
        self._browser = context.browser.new_browser_cdp_session()
        self._answers: dict[int, Any] = {}
        self._browser.on("Target.receivedMessageFromTarget", self._answered)
        page.bring_to_front()
        worker.evaluate("chrome.action.openPopup()")
        self._target = self._find()
        attached = self._browser.send("Target.attachToTarget", {"targetId": self._target, "flatten": False})
        self._session = attached["sessionId"]
        self.until("document.querySelector('#site')?.textContent")

    def _find(self) -> str:
        for _ in range(200):
            for target in self._browser.send("Target.getTargets")["targetInfos"]:
                if target["type"] == "page" and target["url"].endswith("/popup.html"):
                    return str(target["targetId"])
            self._page.wait_for_timeout(50)
        raise AssertionError("there is no popup")

    def _answered(self, event: dict[str, Any]) -> None:
        answer = json.loads(event["message"])
        if "id" in answer:
            self._answers[answer["id"]] = answer

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression in the popup, as if somebody had clicked."""
        number = len(self._answers) + 1
        call = {"id": number, "method": "Runtime.evaluate", "params": {
            "expression": expression, "awaitPromise": True, "returnByValue": True, "userGesture": True}}
        self._browser.send("Target.sendMessageToTarget", {"sessionId": self._session, "message": json.dumps(call)})
        for _ in range(600):
            if number in self._answers:
                result = self._answers[number]["result"]
                assert "exceptionDetails" not in result, result
                return result["result"].get("value")
            self._page.wait_for_timeout(20)
        raise AssertionError(f"the popup does not answer: {expression}")

    def until(self, expression: str) -> Any:
        for _ in range(300):
            if value := self.run(expression):
                return value
            self._page.wait_for_timeout(50)
        raise AssertionError(f"it never came: {expression}; {self.run('document.body.innerText')}")

    def says(self, selector: str, text: str) -> None:
        """Waits until the element's text begins so."""
        self.until(f"document.querySelector({json.dumps(selector)}).textContent.startsWith({json.dumps(text)})")

    def fill(self, selector: str, value: str) -> None:
        """As if typed or chosen, then left."""
        field = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('change', {{bubbles: true}}))")

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def __enter__(self) -> Popup:
        return self

    def __exit__(self, *_: object) -> None:
        self._browser.send("Target.closeTarget", {"targetId": self._target})
        self._browser.detach()
