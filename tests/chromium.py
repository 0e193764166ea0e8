"""Headless Chromium over a pipe: pages are opened, scripted, touched and photographed. No package beyond Chromium."""

import base64
import contextlib
import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 120.0  # seconds for one answer


class Chromium:
    """A browser with one page.

    Args:
        program: path of Chromium.
        profile: an empty folder.

    Attributes:
        messages: what the page wrote to its console, and errors that nobody caught.
        requests: addresses that the page asked for.
        received: bytes of their answers' bodies, as they were sent.
    """

    def __init__(self, program: str, profile: Path) -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.received = 0
        (their_in, self._out), (self._in, their_out) = os.pipe(), os.pipe()

        def pipes() -> None:  # Chromium reads commands from 3 and answers on 4
            first, second = os.dup(their_in), os.dup(their_out)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self._process = subprocess.Popen(
            [program, *QUIET, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(their_in)
        os.close(their_out)
        self._count, self._rest, self._events = 0, b"", []
        target = self.call("Target.createTarget", {"url": "about:blank"}, session=False)["targetId"]
        attached = self.call("Target.attachToTarget", {"targetId": target, "flatten": True}, session=False)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, arguments: dict[str, Any] | None = None, session: bool = True) -> dict[str, Any]:
        """One command of the DevTools protocol; events that come before its answer are noted."""
        self._count += 1
        command = {"id": self._count, "method": method, "params": arguments or {}}
        if session:
            command["sessionId"] = self._session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        try:
            while b"\0" not in self._rest:
                part = os.read(self._in, 1 << 16)
                assert part, "Chromium has ended"
                self._rest += part
        finally:
            watch.cancel()
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def _note(self, event: dict[str, Any]) -> None:
        method, found = event.get("method"), event.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.messages.append(" ".join(str(value.get("value")) for value in found["args"]))
        elif method == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(found["exceptionDetails"])[:500])
        elif method == "Log.entryAdded":
            self.messages.append(found["entry"]["text"] + " " + found["entry"].get("url", ""))
        elif method == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])
        elif method == "Network.loadingFinished":
            self.received += int(found["encodedDataLength"])

    def open(self, address: str) -> None:
        """Go to a page, and wait until it has been parsed."""
        self.call("Page.navigate", {"url": address})
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are waited for.

        Raises:
            AssertionError: the page threw.
        """
        answer = self.call(
            "Runtime.evaluate", {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true in the page, whatever page is loaded meanwhile."""
        end = time.monotonic() + 90
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):  # the page is on its way out, or lacks what the expression reads
                if self.run(f"Boolean({condition})"):
                    return
            time.sleep(0.05)
        raise AssertionError(f"waited for: {condition}")

    def size(self, width: int, height: int, dark: bool = False, touch: bool = False) -> None:
        """The window, its colours, and whether it is touched."""
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.call("Emulation.setDeviceMetricsOverride", shape)
        self.call("Emulation.setTouchEmulationEnabled", {"enabled": touch})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]})

    def photograph(self, path: Path) -> None:
        """The whole page as a PNG."""
        picture = self.call("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
        path.write_bytes(base64.b64decode(picture["data"]))

    def press(self, key: str, times: int = 1) -> None:
        """A key, as it is called in the DOM."""
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32, "Delete": 46, "Tab": 9}
        for _ in range(times):
            for kind in ("rawKeyDown", "keyUp"):
                event = {"type": kind, "key": key, "windowsVirtualKeyCode": codes[key]}
                self.call("Input.dispatchKeyEvent", event)

    def drag(self, points: list[tuple[float, float]], touch: bool = False) -> None:
        """A stroke through points of the window, by mouse or finger."""
        for row, (x, y) in enumerate(points):
            if touch:
                kind = "touchStart" if row == 0 else "touchMove"
                self.call("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
            else:
                kind = "mousePressed" if row == 0 else "mouseMoved"
                event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
                self.call("Input.dispatchMouseEvent", event)
        if touch:
            self.call("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        else:
            x, y = points[-1]
            event = {"type": "mouseReleased", "x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", event)

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
