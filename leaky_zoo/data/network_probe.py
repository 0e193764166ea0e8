"""Whether data can be downloaded at all, answered within seconds."""

import threading
import urllib.error
import urllib.request

HOSTS = ("https://storage.googleapis.com",)  # where TFDS keeps its data
SECONDS = 3.0


def network_is_there(hosts: tuple[str, ...] = HOSTS, seconds: float = SECONDS) -> bool:
    """Whether any of these hosts answers, through whatever proxy the environment names.

    Args:
        hosts: URLs; all are asked at once.
        seconds: at most so long, whatever name servers do. Default 3.

    Example:
    >>> network_is_there(("http://127.0.0.1:9",), seconds=1.0)  # nobody listens there
    False
    """
    reached = threading.Event()
    left = [len(hosts)]
    done = threading.Event()

    def ask(url: str) -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
                reached.set()
        except urllib.error.HTTPError as error:
            # An answer, even if it is no; but a proxy that lets nothing through says 403 or 407 to everything.
            if error.code not in (403, 407, 502, 503, 504):
                reached.set()
        except (OSError, ValueError):
            pass
        left[0] -= 1
        if reached.is_set() or not left[0]:
            done.set()

    for url in hosts:
        threading.Thread(target=ask, args=(url,), daemon=True).start()
    done.wait(seconds + 0.5)
    return reached.is_set()
