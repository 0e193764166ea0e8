"""A hub on this machine: the part of Hugging Face's HTTP API that its own client uses to read and write a model."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"


class Hub:
    """Repositories in memory: each a list of commits, each a dict of files.

    Attributes:
        commits: `{repository: [(sha, {file: bytes})]}`, oldest first.
        asked: method and path of every request.
    """

    def __init__(self) -> None:
        self.commits: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.asked: list[str] = []

    def commit(self, repo: str, files: dict[str, bytes]) -> str:
        """Add a commit with exactly these files; its sha."""
        before = self.commits.setdefault(repo, [])
        content = json.dumps({name: hashlib.sha1(data).hexdigest() for name, data in sorted(files.items())})
        sha = hashlib.sha1(f"{len(before)}{repo}{content}".encode()).hexdigest()
        before.append((sha, dict(files)))
        return sha

    def find(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that a revision names."""
        commits = self.commits.get(repo, [])
        if revision == "main":
            return commits[-1] if commits else None
        return next((each for each in commits if each[0] == revision), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *words: Any) -> None:
        pass

    def _answer(self, code: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _missing(self, code: str) -> None:
        self._answer(404, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})

    def _begin(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        return path

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self._begin()
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(*match.groups())
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            self._info(match[1], match[2] or "main")
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            self._tree(*match.groups())
        elif path == "/api/models":
            self._answer(200, [{"id": repo, "modelId": repo, "tags": ["leaky-resnet"]} for repo in self.hub.commits])
        else:
            self._missing("EntryNotFound")

    def _file(self, repo: str, revision: str, file: str) -> None:
        found = self.hub.find(repo, revision)
        if found is None:
            self._missing("RevisionNotFound" if repo in self.hub.commits else "RepoNotFound")
        elif file not in found[1]:
            self._missing("EntryNotFound")
        else:
            tag = hashlib.sha1(found[1][file]).hexdigest()
            self._answer(200, found[1][file], {"ETag": f'"{tag}"', "X-Repo-Commit": found[0]})

    def _info(self, repo: str, revision: str) -> None:
        found = self.hub.find(repo, revision)
        if repo not in self.hub.commits:
            self._missing("RepoNotFound")
        elif found is None and self.hub.commits[repo]:
            self._missing("RevisionNotFound")
        else:
            sha, files = found or ("0" * 40, {})
            siblings = [{"rfilename": name} for name in files]
            about = {"id": repo, "modelId": repo, "sha": sha, "siblings": siblings, "private": False, "tags": []}
            self._answer(200, {**about, "downloads": 0, "likes": 0, "disabled": False, "gated": False})

    def _tree(self, repo: str, revision: str) -> None:
        found = self.hub.find(repo, revision)
        if found is None:
            self._missing("RevisionNotFound")
            return
        files = found[1].items()
        self._answer(
            200,
            [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files
            ],
        )

    def do_POST(self) -> None:
        path = self._begin()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "/api/validate-yaml":
            self._answer(200, {"warnings": [], "errors": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid credentials"})
        elif path == "/api/repos/create":
            given = json.loads(body)
            repo = f"{given.get('organization') or 'somebody'}/{given['name']}"
            known = repo in self.hub.commits
            if not known:  # as a real hub does
                self.hub.commit(repo, {".gitattributes": b"*.h5 filter=lfs diff=lfs merge=lfs -text\n"})
            self._answer(409 if known else 200, {"url": f"http://{self.headers['Host']}/{repo}"})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)", path):
            files = json.loads(body)["files"]
            modes = [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False} for each in files]
            self._answer(200, {"files": modes})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", path):
            self._commit(match[1], body)
        else:
            self._missing("EntryNotFound")

    def _commit(self, repo: str, body: bytes) -> None:
        found = self.hub.find(repo, "main")
        files = dict(found[1]) if found else {}
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "deletedFile":
                files.pop(entry["value"]["path"], None)
        sha = self.hub.commit(repo, files)
        url = f"http://{self.headers['Host']}/{repo}/commit/{sha}"
        self._answer(200, {"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})


@contextmanager
def serving_hub() -> Iterator[tuple[Hub, str]]:
    """A hub and its address, while the block runs."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
