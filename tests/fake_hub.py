"""A fake of the Hugging Face Hub's endpoints on the loopback address: repositories, commits, large files, downloads."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

SHA = "a" * 40


class FakeHub:
    """What was uploaded: `files` by repository and name, `objects` by SHA-256, `fail_puts` uploads still to refuse.

    `kinds` are ``datasets`` or ``models``, of repositories that were made here.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.kinds: dict[str, str] = {}
        self.objects: dict[str, bytes] = {}
        self.fail_puts = 0
        self.puts = 0
        self.token = ""
        self.url = ""


@contextlib.contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve a fake until the block ends."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, value: object, status: int = 200, **headers: str) -> None:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name.replace("_", "-"), text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_POST(self) -> None:
            path, body = urlsplit(self.path).path, self._body()
            hub.token = hub.token or str(self.headers.get("Authorization") or "")
            if path == "/api/repos/create":
                told = json.loads(body)
                repo = f"{told['organization']}/{told['name']}" if told.get("organization") else told["name"]
                hub.files.setdefault(repo, {})
                hub.kinds[repo] = f"{told.get('type', 'model')}s"
                self._answer({"url": f"{hub.url}/datasets/{repo}", "id": repo, "name": repo})
            elif path == "/api/validate-yaml":
                self._answer({"errors": [], "warnings": []})
            elif found := re.fullmatch(r"/api/(?:datasets|models)/(.+)/preupload/main", path):
                files = json.loads(body)["files"]
                modes = {True: "lfs", False: "regular"}
                large = (".parquet", ".safetensors")
                told_files = [
                    {"path": f["path"], "uploadMode": modes[f["path"].endswith(large)], "shouldIgnore": False}
                    for f in files
                ]
                self._answer({"files": told_files})
            elif path.endswith("/info/lfs/objects/batch"):
                self._answer(
                    {
                        "transfer": "basic",
                        "objects": [self._object(entry) for entry in json.loads(body)["objects"]],
                    },
                    Content_Type="application/vnd.git-lfs+json",
                )
            elif found := re.fullmatch(r"/api/(?:datasets|models)/(.+)/commit/main", path):
                self._commit(found[1], body)
            else:
                self._answer({"error": f"no {path}"}, 404)

        def _object(self, entry: dict[str, Any]) -> dict[str, Any]:
            if entry["oid"] in hub.objects:
                return dict(entry)
            upload = {"href": f"{hub.url}/put/{entry['oid']}", "header": {}}
            return {**entry, "actions": {"upload": upload}}

        def _commit(self, repo: str, body: bytes) -> None:
            files = hub.files[repo]
            for line in body.splitlines():
                told = json.loads(line)
                value = told["value"]
                if told["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif told["key"] == "lfsFile":
                    files[value["path"]] = hub.objects[value["oid"]]
                elif told["key"] == "deletedFile":
                    del files[value["path"]]
            url = f"{hub.url}/datasets/{repo}/commit/{SHA}"
            self._answer({"success": True, "commitOid": SHA, "commitUrl": url, "hookOutput": ""})

        def do_PUT(self) -> None:
            body = self._body()
            hub.puts += 1
            if hub.fail_puts > 0:
                hub.fail_puts -= 1
                self._answer({"error": "try later"}, 403)
                return
            assert hashlib.sha256(body).hexdigest() == self.path.rsplit("/", 1)[-1]
            hub.objects[hashlib.sha256(body).hexdigest()] = body
            self._answer({})

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if found := re.fullmatch(r"/api/(datasets|models)/([^/]+/[^/]+)(/revision/.+)?", path):
                files = hub.files.get(found[2])
                if files is None or hub.kinds.get(found[2], found[1]) != found[1]:
                    self._answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
                    return
                siblings = [{"rfilename": name} for name in files]
                self._answer({"id": found[2], "sha": SHA, "siblings": siblings, "private": False, "tags": []})
            elif found := re.fullmatch(r"/api/(?:datasets|models)/([^/]+/[^/]+)/tree/.+", path):
                entries = [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha256(data).hexdigest()[:40]}
                    for name, data in hub.files[found[1]].items()
                ]
                self._answer(entries)
            elif found := re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
                data = hub.files[found[1]][found[2]]
                self._answer(data, ETag=f'"{hashlib.sha256(data).hexdigest()}"', X_Repo_Commit=SHA)
            else:
                self._answer({"error": f"no {path}"}, 404)

    return Handler
