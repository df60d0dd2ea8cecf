"""A Hugging Face hub on 127.0.0.1 that the real client libraries talk to.

A repository is a folder of `Hub.root` (`models/<owner>/<name>`, `datasets/...`); its
one commit, on `main`, is what lies there now. It speaks what huggingface_hub and
datasets ask for over plain HTTP: information, trees, files with redirects, ETags and
ranges, uploads through commits and LFS. It does not speak Xet: clients run with
`HF_HUB_DISABLE_XET=1`.

`Hub.fault` makes answers fail, break off, lie or wait.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

Kind = Literal["model", "dataset"]

# What the real hub's own .gitattributes sends to large-file storage.
LFS_SUFFIXES = {".bin", ".h5", ".safetensors", ".parquet", ".arrow", ".zip", ".gguf"}
TOKEN = "hf_writer"
USER = "reader"
CHUNK = 16 * 1024
MAX_BODY = 256 * 1024**2
# A paused answer goes on by itself after this long, so that nothing hangs for ever.
PAUSE_S = 600


@dataclass
class Fault:
    """What goes wrong with answers to matching requests, `times` times.

    Attributes:
        part: a piece of the path of the requests it concerns.
        method: their method.
        status: answer with this instead.
        drop: close the connection without an answer.
        cut_after: close the connection after so many bytes of the body.
        truncate_to: the body, and the length that is announced, end there.
        corrupt: the first byte is another.
        pause_after: wait there until `go_on` is set; `reached` says that it waits.
    """

    part: str
    method: str = "GET"
    times: int = 1
    status: int | None = None
    drop: bool = False
    cut_after: int | None = None
    truncate_to: int | None = None
    corrupt: bool = False
    pause_after: int | None = None
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Asked:
    """A request as it came in: its path with the query, and two of its headers."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass(frozen=True)
class File:
    """A file of a repository; `oid` is git's, `sha256` stands for those in LFS only."""

    path: str
    size: int
    oid: str
    sha256: str | None

    def entry(self) -> dict[str, Any]:
        """Its entry in a tree or in `paths-info`."""
        entry: dict[str, Any] = {
            "type": "file",
            "path": self.path,
            "size": self.size,
            "oid": self.oid,
        }
        if self.sha256 is not None:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": 134}
        return entry


class Hub:
    """The hub; `serving` starts it.

    Attributes:
        root: the folder with all repositories.
        url: its address, for `HF_ENDPOINT`.
        cdn: where large files come from: to the client another host, as the real one
            is, so that it follows there without its token.
        private: ids that need `TOKEN` (401 without).
        gated: ids whose files need terms accepted (403).
        infos: what the dataset viewer says of a dataset, by its id: `{subset: info}`.
            Clients look for it at `datasets-server.` before the hub's own name.
        asked: every request so far.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = self.cdn = ""
        self.private: set[str] = set()
        self.gated: set[str] = set()
        self.infos: dict[str, dict[str, Any]] = {}
        self.asked: list[Asked] = []
        self._faults: list[Fault] = []
        self._files: dict[tuple[Path, int, int], File] = {}
        self._lock = threading.Lock()

    def folder(self, repo_id: str, kind: Kind = "model") -> Path:
        """Where the repository's files lie; made if it is not there."""
        path = self.root / f"{kind}s" / repo_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def fault(self, part: str, **what: Any) -> Fault:
        """From now on, requests whose path holds `part` meet this `Fault`."""
        fault = Fault(part, **what)
        with self._lock:
            self._faults.append(fault)
        return fault

    def fault_of(self, method: str, path: str) -> Fault | None:
        """The fault that the next answer has, which counts it."""
        with self._lock:
            for fault in self._faults:
                if fault.times and fault.method == method and fault.part in path:
                    fault.times -= 1
                    return fault
        return None

    def files(self, repo: Path) -> dict[str, File]:
        """The repository's files by their path."""
        found = {}
        for path in sorted(repo.rglob("*")):
            if path.is_file():
                name = path.relative_to(repo).as_posix()
                found[name] = self._file(path, name)
        return found

    def _file(self, path: Path, name: str) -> File:
        stat = path.stat()
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._files:
            body = path.read_bytes()
            git = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
            in_lfs = path.suffix in LFS_SUFFIXES
            sha256 = hashlib.sha256(body).hexdigest() if in_lfs else None
            self._files[key] = File(name, len(body), git, sha256)
        return self._files[key]

    def commit(self, repo_id: str, kind: Kind = "model") -> str:
        """The hash of what `main` is now: it follows from names and contents."""
        files = self.files(self.folder(repo_id, kind))
        listing = "".join(f"{name} {file.oid}\n" for name, file in files.items())
        return hashlib.sha1(listing.encode()).hexdigest()


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """A `Hub` that answers on a free port until the block ends."""
    hub = Hub(root)

    bound = type("BoundHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    hub.cdn = f"http://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class Refused(Exception):
    """An answer that is an error, with the codes by which the client tells them."""

    def __init__(
        self, status: int, code: str = "", message: str = "", commit: str = ""
    ) -> None:
        self.status = status
        self.text = message or code
        headers = {
            "X-Error-Code": code,
            "X-Error-Message": message,
            # The client remembers which files a commit does not have.
            "X-Repo-Commit": commit,
        }
        self.headers = {name: value for name, value in headers.items() if value}


# What stands before a repository's id in an address that is not the API's.
PREFIX = {"datasets/": "dataset", "": "model"}
API = re.compile(r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/(.*))?")
RESOLVE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
LFS_BATCH = re.compile(r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch")
LFS_OBJECT = re.compile(r"/lfs/([0-9a-f]{64})")


class Handler(BaseHTTPRequestHandler):
    """One connection; `hub` is set by `serving`."""

    hub: Hub
    token: str | None = None
    fault: Fault | None = None
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002
        """Keeps the tests' output clean; `Hub.asked` has the requests."""

    def do_HEAD(self) -> None:  # noqa: N802
        self._answer()

    def do_GET(self) -> None:  # noqa: N802
        self._answer()

    def do_POST(self) -> None:  # noqa: N802
        self._answer()

    def do_PUT(self) -> None:  # noqa: N802
        self._answer()

    def _answer(self) -> None:
        authorization = self.headers.get("Authorization")
        self.token = authorization.removeprefix("Bearer ") if authorization else None
        self.hub.asked.append(
            Asked(self.command, self.path, self.headers.get("Range"), self.token)
        )
        # Read before anything is refused: else its bytes are the next request.
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            self._send(411 if not length else 413, b"")
            return
        body = self.rfile.read(length)
        self.fault = self.hub.fault_of(self.command, self.path)
        if self.fault and self.fault.drop:
            self.close_connection = True
            return
        try:
            if self.fault and self.fault.status is not None:
                raise Refused(self.fault.status, message="on demand")
            if self.token not in (None, TOKEN):
                message = "Invalid credentials in Authorization header"
                raise Refused(401, message=message)
            self._route(unquote(urlsplit(self.path).path), body)
        except Refused as refused:
            text = json.dumps({"error": refused.text}).encode()
            self._send(refused.status, text, refused.headers)
        except (BrokenPipeError, ConnectionResetError):
            # The client went away, as a cancelled download does.
            self.close_connection = True

    def _route(self, path: str, body: bytes) -> None:
        if path == "/api/whoami-v2":
            self._writer()
            self._json({"type": "user", "name": USER, "orgs": [], "auth": {}})
        elif path == "/info":
            self._viewer(parse_qs(urlsplit(self.path).query)["dataset"][0])
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif found := re.fullmatch(r"/cdn/(model|dataset)/([^/]+/[^/]+)/(.+)", path):
            if self.token is not None:
                raise Refused(400, message="a token where none belongs")
            self._file(self.hub.root / f"{found[1]}s" / found[2], found[3], {})
        elif found := LFS_BATCH.fullmatch(path):
            self._repo(PREFIX[found[1] or ""], found[2])
            self._lfs_batch(json.loads(body))
        elif found := LFS_OBJECT.fullmatch(path):
            self._lfs_object(found[1], body)
        elif found := API.fullmatch(path):
            self._api(found[1], found[2], found[3] or "", body)
        elif found := RESOLVE.fullmatch(path):
            self._resolve(PREFIX[found[1] or ""], *found.group(2, 3, 4))
        else:
            raise Refused(404, "RepoNotFound", "no such page")

    def _viewer(self, repo_id: str) -> None:
        self._repo("dataset", repo_id)
        if repo_id not in self.hub.infos:
            raise Refused(404, message="no such information")
        whole = {"partial": False, "pending": [], "failed": []}
        text = json.dumps({**whole, "dataset_info": self.hub.infos[repo_id]}).encode()
        commit = self.hub.commit(repo_id, "dataset")
        headers = {"Content-Type": "application/json", "X-Revision": commit}
        self._send(200, text, headers)

    def _writer(self) -> None:
        if self.token != TOKEN:
            raise Refused(401, message="Invalid username or password.")

    def _repo(self, kind: str, repo_id: str) -> Path:
        """The folder of a repository that may be read."""
        folder = self.hub.root / f"{kind}s" / repo_id
        if ".." in repo_id.split("/") or not folder.is_dir():
            raise Refused(404, "RepoNotFound", "Repository not found")
        if repo_id in self.hub.private and self.token != TOKEN:
            raise Refused(401, "RepoNotFound", "Invalid username or password.")
        return folder

    def _commit(self, kind: Any, repo_id: str, revision: str) -> str:
        commit = self.hub.commit(repo_id, kind)
        if revision not in ("main", "refs/heads/main", commit):
            message = f"Invalid rev id: {revision}"
            raise Refused(404, "RevisionNotFound", message)
        return commit

    def _api(self, kind: str, repo_id: str, what: str, body: bytes) -> None:
        repo = self._repo(kind, repo_id)
        verb, _, rest = what.partition("/")
        if verb in ("", "revision"):
            commit = self._commit(kind, repo_id, rest or "main")
            self._json(self._information(kind, repo_id, repo, commit))
        elif verb == "refs":
            commit = self._commit(kind, repo_id, "main")
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": commit}
            self._json({"branches": [main], "tags": [], "converts": []})
        elif verb == "tree":
            revision, _, folder = rest.partition("/")
            self._commit(kind, repo_id, revision)
            self._json(self._tree(repo, folder))
        elif verb == "paths-info":
            self._commit(kind, repo_id, rest)
            self._json(self._paths(repo, self._asked_paths(body)))
        elif verb == "preupload":
            self._writer()
            self._json({"files": [_mode(file) for file in json.loads(body)["files"]]})
        elif verb == "commit":
            self._writer()
            self._json(self._committed(kind, repo_id, repo, body))
        else:
            raise Refused(404, message="no such question")

    def _information(
        self, kind: str, repo_id: str, repo: Path, commit: str
    ) -> dict[str, Any]:
        siblings = []
        for name, file in self.hub.files(repo).items():
            sibling: dict[str, Any] = {"rfilename": name}
            if "blobs" in parse_qs(urlsplit(self.path).query):
                sibling |= {"size": file.size, "blobId": file.oid}
                if file.sha256:
                    sibling["lfs"] = {
                        "sha256": file.sha256,
                        "size": file.size,
                        "pointerSize": 134,
                    }
            siblings.append(sibling)
        return {
            "id": repo_id,
            f"{kind}Id": repo_id,
            "sha": commit,
            "private": repo_id in self.hub.private,
            "gated": "manual" if repo_id in self.hub.gated else False,
            "lastModified": "2026-01-01T00:00:00.000Z",
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": siblings,
        }

    def _tree(self, repo: Path, folder: str) -> list[dict[str, Any]]:
        query = parse_qs(urlsplit(self.path).query)
        recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        inside = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for name, file in self.hub.files(repo).items():
            if not name.startswith(inside):
                continue
            steps = name.removeprefix(inside).split("/")
            for depth in range(1, len(steps)):
                path = inside + "/".join(steps[:depth])
                if recursive or depth == 1:
                    entries[path] = _directory(path)
            if recursive or len(steps) == 1:
                entries[name] = file.entry()
        if folder and not entries:
            raise Refused(404, "EntryNotFound", f"{folder} does not exist")
        return list(entries.values())

    def _paths(self, repo: Path, paths: list[str]) -> list[dict[str, Any]]:
        files = self.hub.files(repo)
        found = []
        for path in paths:
            if path in files:
                found.append(files[path].entry())
            elif any(name.startswith(f"{path}/") for name in files):
                found.append(_directory(path))
        return found

    def _asked_paths(self, body: bytes) -> list[str]:
        if "json" in (self.headers.get("Content-Type") or ""):
            return list(json.loads(body)["paths"])
        return parse_qs(body.decode()).get("paths", [])

    def _resolve(self, kind: str, repo_id: str, revision: str, name: str) -> None:
        repo = self._repo(kind, repo_id)
        if repo_id in self.hub.gated:
            raise Refused(403, "GatedRepo", "Access to it is restricted.")
        commit = self._commit(kind, repo_id, revision)
        file = self.hub.files(repo).get(name)
        if file is None:
            raise Refused(404, "EntryNotFound", f"{name} does not exist", commit)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{file.sha256 or file.oid}"'}
        if file.sha256 is None:
            self._file(repo, name, headers)
            return
        headers |= {
            "X-Linked-Size": str(file.size),
            "X-Linked-ETag": f'"{file.sha256}"',
            "Location": f"{self.hub.cdn}/cdn/{kind}/{repo_id}/{name}",
        }
        self._send(302, b"", headers)

    def _file(self, repo: Path, name: str, headers: Mapping[str, str]) -> None:
        path = repo / name
        if name not in self.hub.files(repo):
            raise Refused(404, "EntryNotFound", f"{name} does not exist")
        body = path.read_bytes()
        if self.fault and self.fault.corrupt:
            body = bytes([body[0] ^ 0xFF]) + body[1:]
        if self.fault and self.fault.truncate_to is not None:
            body = body[: self.fault.truncate_to]
        headers = {"Accept-Ranges": "bytes", **headers}
        asked = re.fullmatch(
            r"bytes=(\d+)-(\d*)", (self.headers.get("Range") or "").strip()
        )
        if not asked:
            self._send(200, body, headers)
            return
        first = int(asked[1])
        last = min(int(asked[2] or len(body)), len(body) - 1)
        if first > last:
            headers["Content-Range"] = f"bytes */{len(body)}"
            self._send(416, b"", headers)
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        self._send(206, body[first : last + 1], headers)

    def _create(self, wanted: dict[str, Any]) -> None:
        self._writer()
        repo_id = f"{wanted.get('organization') or USER}/{wanted['name']}"
        kind = wanted.get("type") or "model"
        address = f"{self.hub.url}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
        if (self.hub.root / f"{kind}s" / repo_id).is_dir():
            self._json({"url": address, "error": "You already created it"}, 409)
            return
        self.hub.folder(repo_id, kind)
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.hub.private.add(repo_id)
        self._json({"url": address, "name": repo_id, "id": repo_id})

    def _lfs_batch(self, wanted: dict[str, Any]) -> None:
        self._writer()
        objects = []
        for item in wanted["objects"]:
            answer = {"oid": item["oid"], "size": item["size"]}
            if not (self.hub.root / "lfs" / item["oid"]).is_file():
                address = f"{self.hub.url}/lfs/{item['oid']}"
                actions = {"upload": {"href": address}, "verify": {"href": address}}
                answer["actions"] = actions
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def _lfs_object(self, sha256: str, body: bytes) -> None:
        path = self.hub.root / "lfs" / sha256
        if self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != sha256:
                raise Refused(400, message="another file than announced")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(body)
        elif not path.is_file():
            raise Refused(404, message="not uploaded")
        self._json({})

    def _committed(
        self, kind: Any, repo_id: str, repo: Path, body: bytes
    ) -> dict[str, Any]:
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                continue
            path = (repo / value["path"]).resolve()
            if not path.is_relative_to(repo.resolve()):
                raise Refused(400, message="a path out of the repository")
            path.parent.mkdir(parents=True, exist_ok=True)
            if item["key"] == "file":
                path.write_bytes(base64.b64decode(value["content"]))
            elif item["key"] == "lfsFile":
                shutil.copyfile(self.hub.root / "lfs" / value["oid"], path)
            elif item["key"] == "deletedFile":
                path.unlink(missing_ok=True)
            else:
                raise Refused(400, message=f"no such operation: {item['key']}")
        commit = self.hub.commit(repo_id, kind)
        address = f"{self.hub.url}/{repo_id}/commit/{commit}"
        return {"success": True, "commitOid": commit, "commitUrl": address}

    def _json(self, answer: Any, status: int = 200) -> None:
        headers = {"Content-Type": "application/json"}
        self._send(status, json.dumps(answer).encode(), headers)

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        for start in range(0, len(body), CHUNK):
            chunk = body[start : start + CHUNK]
            fault = self.fault
            if fault and fault.cut_after is not None and status < 300:
                chunk = chunk[: max(fault.cut_after - start, 0)]
            if fault and fault.pause_after is not None and start >= fault.pause_after:
                self.wfile.flush()
                fault.reached.set()
                fault.go_on.wait(PAUSE_S)
            self.wfile.write(chunk)
            if len(chunk) < len(body[start : start + CHUNK]):
                self.close_connection = True
                return


def _mode(file: Mapping[str, Any]) -> dict[str, Any]:
    in_lfs = Path(file["path"]).suffix in LFS_SUFFIXES
    return {
        "path": file["path"],
        "uploadMode": "lfs" if in_lfs else "regular",
        "shouldIgnore": False,
    }


def _directory(path: str) -> dict[str, Any]:
    oid = hashlib.sha1(path.encode()).hexdigest()
    return {"type": "directory", "path": path, "size": 0, "oid": oid}
