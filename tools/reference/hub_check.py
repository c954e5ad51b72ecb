"""Holds our cache of downloaded models against huggingface_hub's: each finds complete what the other has downloaded.

    python hub_check.py SCRATCH          # after a build; SCRATCH must be empty or absent

Both talk to `src/hub/testing/server.ts` on the loopback interface, huggingface_hub unchanged by HF_ENDPOINT.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAIN = HERE.parent.parent / "dist" / "cli" / "main.js"
PYTHON = """
import json, sys
from huggingface_hub import scan_cache_dir, snapshot_download
cache, local = sys.argv[1], sys.argv[2] == "local"
path = snapshot_download("org/name", cache_dir=cache, local_files_only=local)
info = scan_cache_dir(cache)
repo = next(iter(info.repos))
print(json.dumps({"path": path, "warnings": [str(w) for w in info.warnings], "files": repo.nb_files, "size": repo.size_on_disk}))
"""


class Server:
    def __init__(self) -> None:
        self.process = subprocess.Popen(["node", HERE / "hub-server.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        self.asked: list[str] = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.process.stdout:
            self.asked.append(line.strip())

    def since(self, start: int) -> list[str]:
        """Requests for files, beyond lists."""
        time.sleep(0.2)
        return [line for line in self.asked[start:] if " /api/" not in line]


def run(server: Server, scratch: Path, *argv: str, **more: str) -> str:
    env = {"PATH": os.environ["PATH"], "HF_ENDPOINT": server.url, "HF_TOKEN": "secret", "HF_HOME": str(scratch / "home"), **more}
    env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run([str(a) for a in argv], env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{argv}: {done.stdout}{done.stderr}")
    return done.stdout.strip().splitlines()[-1]


def tree(cache: Path) -> dict[str, str]:
    """Every file of the model, with what a link points to or the text of a ref."""
    root = cache / "models--org--name"
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith(("snapshots", "blobs", "refs")) and not path.is_dir():
            found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes().hex()[:80]
    return found


def main(scratch: Path) -> None:
    server = Server()
    ours, theirs = scratch / "ours", scratch / "theirs"

    def us(cache: Path, **more: str) -> str:
        return run(server, scratch, "node", MAIN, "download", "org/name", "--include", "*", "--huggingface-hub-cache", cache, **more)

    def them(cache: Path, local: str) -> dict:
        return json.loads(run(server, scratch, sys.executable, "-c", PYTHON, cache, local))

    path = us(ours)
    start = len(server.asked)
    for local in ("local", "remote"):
        found = them(ours, local)
        assert found["path"] == path, (found, path)
        assert not found["warnings"] and found["files"] == 5, found
    assert not server.since(start), f"they fetched what we had: {server.since(start)}"
    print("huggingface_hub finds our cache complete")

    path = them(theirs, "remote")["path"]
    start = len(server.asked)
    assert us(theirs) == path
    assert us(theirs, HF_HUB_OFFLINE="1") == path
    assert not server.since(start), f"we fetched what they had: {server.since(start)}"
    print("we find its cache complete")

    assert tree(ours) == tree(theirs), (tree(ours), tree(theirs))
    print("blobs, links and refs are the same")
    server.process.stdin.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
