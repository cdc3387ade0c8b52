"""What the packages say of the project, and files that are the same bytes whenever they are written."""

import gzip
import hashlib
import io
import lzma
import re
import tarfile
import time
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "team-table"


@dataclass(frozen=True)
class Target:
    """What one target is called elsewhere."""

    wheel: str
    npm: str
    debian: str = ""
    container: str = ""

    @property
    def system(self) -> str:
        return self.npm.split("-")[0]

    @property
    def program(self) -> str:
        return NAME + (".exe" if self.system == "win32" else "")


# A static program runs with glibc and with musl.
LINUX = "manylinux_2_17_{0}.manylinux2014_{0}.musllinux_1_1_{0}"
TARGETS = {
    "x86_64-unknown-linux-musl": Target(LINUX.format("x86_64"), "linux-x64", "amd64", "amd64"),
    "aarch64-unknown-linux-musl": Target(LINUX.format("aarch64"), "linux-arm64", "arm64", "arm64"),
    "x86_64-pc-windows-gnu": Target("win_amd64", "win32-x64"),
    "x86_64-apple-darwin": Target("macosx_11_0_x86_64", "darwin-x64"),
    "aarch64-apple-darwin": Target("macosx_11_0_arm64", "darwin-arm64"),
}


@dataclass(frozen=True)
class Entry:
    """A file in a package."""

    path: str
    data: bytes
    mode: int = 0o644


class Project:
    """The project at one commit."""

    def __init__(self, commit: str, epoch: int):
        cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
        self.python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        self.version: str = cargo["workspace"]["package"]["version"]
        self.license: str = cargo["workspace"]["package"]["license"]
        self.repository: str = cargo["package"]["repository"]
        self.description: str = self.python["description"]
        self.keywords: list[str] = self.python["keywords"]
        self.commit, self.epoch = commit, epoch
        self.date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
        host, owner, _ = self.repository.removeprefix("https://").split("/")
        self.registry_name = f"{'.'.join(reversed(host.split('.')[:2]))}".replace("com.github", "io.github") + f".{owner}/{NAME}"

    def changes(self) -> str:
        """The part of the changelog about this version, without its heading."""
        text = (ROOT / "CHANGELOG.md").read_text()
        heading = rf"^## \[?{re.escape(self.version)}\]?\b.*?$"
        found = re.search(heading + r"(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        if not found or not found[1].strip():
            raise SystemExit(f"CHANGELOG.md says nothing about {self.version}")
        return found[1].strip()

    def url(self, file: str) -> str:
        """Where a file of this release can be downloaded."""
        return f"{self.repository}/releases/download/v{self.version}/{file}"

    def fill(self, path: str, **more: str) -> str:
        """A template below packaging/, filled in."""
        text = (ROOT / "packaging" / path).read_text()
        words = {"VERSION": self.version, "REPOSITORY": self.repository, "REGISTRY_NAME": self.registry_name, **more}
        for key, value in words.items():
            text = text.replace(f"@{key}@", value)
        if left := re.search(r"@[A-Z0-9_]+(:[\w-]+)?@", text):
            raise SystemExit(f"packaging/{path}: nothing to put in for {left[0]}")
        return text

    def about(self) -> str:
        """What a registry shows: about the program, and what changed."""
        return f"{self.fill('about.md')}\n## Changes in {self.version}\n\n{self.changes()}\n"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zipped(entries: list[Entry], epoch: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.path, time.gmtime(epoch)[:6])
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100000 | entry.mode) << 16
            archive.writestr(info, entry.data)
    return file.getvalue()


def tarred(entries: list[Entry], epoch: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.size, info.mode, info.mtime = len(entry.data), entry.mode, epoch
            info.uname = info.gname = "root"
            archive.addfile(info, io.BytesIO(entry.data))
    return file.getvalue()


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=6)
