"""One function for each kind of package: the file's name and its bytes."""

import base64
import hashlib
import json
import os
import re
import subprocess
import tempfile
import textwrap
import time
from email.utils import formatdate
from pathlib import Path

from project import NAME, ROOT, TARGETS, Entry, Project, Target, gzipped, tarred, xz, zipped

Package = tuple[str, bytes]


def archive(project: Project, target: str, program: bytes, common: list[Entry]) -> Package:
    """What cargo binstall, Homebrew, Scoop and people unpack."""
    folder = f"{NAME}-{project.version}-{target}"
    entries = [Entry(TARGETS[target].program, program, 0o755), Entry("README.md", project.about().encode()),
               Entry("LICENSE", (ROOT / "LICENSE").read_bytes()), *common]
    inside = [Entry(f"{folder}/{entry.path}", entry.data, entry.mode) for entry in entries]
    if TARGETS[target].system == "win32":
        return f"{folder}.zip", zipped(inside, project.epoch)
    return f"{folder}.tar.xz", xz(tarred(inside, project.epoch))


def wheel(project: Project, target: str, program: bytes, sbom: bytes) -> Package:
    """A wheel with the program as a script, and a second command that is called as the distribution, for `uvx NAME`."""
    about = project.python
    module = about["name"].replace("-", "_")
    tags = TARGETS[target].wheel
    info = f"{module}-{project.version}.dist-info"
    metadata = [
        "Metadata-Version: 2.4", f"Name: {about['name']}", f"Version: {project.version}", f"Summary: {project.description}",
        f"Keywords: {','.join(project.keywords)}", f"License-Expression: {project.license}", "License-File: LICENSE",
        f"Requires-Python: {about['requires-python']}", f"Project-URL: Source, {project.repository}",
        f"Project-URL: Changelog, {project.repository}/blob/main/CHANGELOG.md",
        *(f"Classifier: {classifier}" for classifier in about["classifiers"]),
        "Description-Content-Type: text/markdown", "", project.about(),
    ]
    build = ["Wheel-Version: 1.0", "Generator: team-table .ci/packages", "Root-Is-Purelib: false",
             *(f"Tag: py3-none-{platform}" for platform in tags.split(".")), ""]
    sources = ROOT / "packaging/python"
    entries = [
        *(Entry(f"{module}/{path.name}", path.read_bytes()) for path in sorted((sources / module).glob("*.py"))),
        Entry(f"{module}-{project.version}.data/scripts/{TARGETS[target].program}", program, 0o755),
        Entry(f"{info}/licenses/LICENSE", (ROOT / "LICENSE").read_bytes()),
        Entry(f"{info}/sboms/{NAME}.cdx.json", sbom),
        Entry(f"{info}/entry_points.txt", f"[console_scripts]\n{about['name']} = {module}:main\n".encode()),
        Entry(f"{info}/METADATA", "\n".join(metadata).encode()),
        Entry(f"{info}/WHEEL", "\n".join(build).encode()),
    ]
    lines = []
    for entry in entries:
        digest = base64.urlsafe_b64encode(hashlib.sha256(entry.data).digest()).rstrip(b"=").decode()
        lines.append(f"{entry.path},sha256={digest},{len(entry.data)}\n")
    lines.append(f"{info}/RECORD,,\n")
    entries.append(Entry(f"{info}/RECORD", "".join(lines).encode()))
    return f"{module}-{project.version}-py3-none-{tags}.whl", zipped(entries, project.epoch)


def npm(project: Project, name: str, more: dict, entries: list[Entry]) -> Package:
    manifest = {"name": name, "version": project.version, "description": project.description, "license": project.license,
                "homepage": project.repository, "repository": {"type": "git", "url": f"git+{project.repository}.git"}, **more}
    files = [Entry("package.json", (json.dumps(manifest, indent=2) + "\n").encode()), *entries,
             Entry("LICENSE", (ROOT / "LICENSE").read_bytes())]
    inside = [Entry(f"package/{entry.path}", entry.data, entry.mode) for entry in files]
    file = f"{name.removeprefix('@').replace('/', '-')}-{project.version}.tgz"
    return file, gzipped(tarred(inside, project.epoch))


def npm_platform(project: Project, target: Target, program: bytes) -> Package:
    system, cpu = target.npm.split("-")
    more = {"os": [system], "cpu": [cpu], "preferUnplugged": True, "files": ["bin"]}
    readme = f"The program of [{NAME}](https://www.npmjs.com/package/{NAME}) for {system} on {cpu}. Install that package.\n"
    return npm(project, f"@{NAME}/{target.npm}", more,
               [Entry("README.md", readme.encode()), Entry(f"bin/{target.program}", program, 0o755)])


def npm_main(project: Project) -> Package:
    more = {"mcpName": project.registry_name, "keywords": project.keywords, "bin": {NAME: f"bin/{NAME}.js"}, "files": ["bin"],
            "engines": {"node": ">=18"},
            "optionalDependencies": {f"@{NAME}/{target.npm}": project.version for target in TARGETS.values()}}
    shim = (ROOT / f"packaging/npm/{NAME}.js").read_bytes()
    return npm(project, NAME, more, [Entry("README.md", project.about().encode()), Entry(f"bin/{NAME}.js", shim, 0o755)])


MAINTAINER = "The Team Table authors <maintainers@team-table.invalid>"


def debian_changelog(project: Project) -> str:
    """The changelog in Debian's form. What is no item of a list is left out."""
    items = re.findall(r"^- (.*?)(?=^[-#]|^\s*$|\Z)", project.changes(), re.MULTILINE | re.DOTALL)
    lines = [textwrap.fill(" ".join(item.split()), 78, initial_indent="  * ", subsequent_indent="    ") for item in items]
    return (f"{NAME} ({project.version}) unstable; urgency=medium\n\n" + "\n".join(lines)
            + f"\n\n -- {MAINTAINER}  {formatdate(project.epoch)}\n")


def debian(project: Project, target: Target, program: bytes, common: list[Entry], sbom: bytes) -> Package:
    """A package that depends on nothing: the program is static."""
    source = ROOT / "packaging/debian"
    shared = {Path(entry.path).name: entry.data for entry in common}
    doc = f"usr/share/doc/{NAME}"
    entries = [
        Entry(f"usr/bin/{NAME}", program, 0o755),
        *(Entry(f"usr/share/man/man1/{name}.gz", gzipped(data)) for name, data in shared.items() if name.endswith(".1")),
        Entry(f"usr/share/bash-completion/completions/{NAME}", shared[f"{NAME}.bash"]),
        Entry(f"usr/share/zsh/vendor-completions/_{NAME}", shared[f"_{NAME}"]),
        Entry(f"usr/share/fish/vendor_completions.d/{NAME}.fish", shared[f"{NAME}.fish"]),
        *(Entry(f"usr/lib/systemd/user/{path.name}", path.read_bytes()) for path in sorted(source.glob("*.service"))),
        Entry(f"{doc}/changelog.gz", gzipped(debian_changelog(project).encode())),
        Entry(f"{doc}/copyright", project.fill("debian/copyright").encode()),
        Entry(f"{doc}/README.md", project.fill("about.md").encode()),
        Entry(f"{doc}/sbom.cdx.json.gz", gzipped(sbom)),
        Entry(f"usr/share/lintian/overrides/{NAME}", (source / "lintian-overrides").read_bytes()),
    ]
    about = ("An MCP server through which coding agents register, find each other, exchange messages, post and claim tasks and share "
             "context, in one SQLite database. Every call is judged by WebAssembly policies, which are exchanged while it runs.")
    control = [
        f"Package: {NAME}", f"Version: {project.version}", f"Architecture: {target.debian}", f"Maintainer: {MAINTAINER}",
        f"Installed-Size: {sum(len(entry.data) for entry in entries) // 1024 + 1}", "Section: devel", "Priority: optional",
        f"Homepage: {project.repository}", "Description: table that several coding agents sit at",
        *textwrap.wrap(about, 78, initial_indent=" ", subsequent_indent=" "), "",
    ]
    sums = "".join(f"{hashlib.md5(entry.data).hexdigest()}  {entry.path}\n" for entry in entries)
    entries += [Entry("DEBIAN/control", "\n".join(control).encode()), Entry("DEBIAN/md5sums", sums.encode())]
    file = f"{NAME}_{project.version}_{target.debian}.deb"
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "root")
        for entry in entries:
            path = root / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(entry.data)
            path.chmod(entry.mode)
        for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        for path in [*root.rglob("*"), root]:
            os.utime(path, (project.epoch, project.epoch))
        command = ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", "-z6", "--threads-max=1", str(root), f"{scratch}/{file}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": str(project.epoch)})
        return file, Path(scratch, file).read_bytes()


def mcpb(project: Project, target: Target, program: bytes) -> Package:
    """A bundle that desktop clients install from one file."""
    path = f"bin/{target.program}"
    manifest = {
        "manifest_version": "0.3", "name": NAME, "display_name": "Team Table", "version": project.version,
        "description": project.description, "long_description": project.about(), "author": {"name": "The Team Table authors"},
        "repository": {"type": "git", "url": f"{project.repository}.git"}, "homepage": project.repository, "icon": "icon.png",
        "server": {"type": "binary", "entry_point": path,
                   "mcp_config": {"command": f"${{__dirname}}/{path}", "args": [], "env": {}}},
        "tools_generated": True, "keywords": project.keywords, "license": project.license,
        "compatibility": {"platforms": [target.system]},
    }
    entries = [Entry("manifest.json", (json.dumps(manifest, indent=2) + "\n").encode()), Entry(path, program, 0o755),
               Entry("icon.png", (ROOT / "packaging/claude/icon.png").read_bytes()),
               Entry("LICENSE", (ROOT / "LICENSE").read_bytes())]
    return f"{NAME}-{project.version}-{target.npm}.mcpb", zipped(entries, project.epoch)


def container(project: Project, programs: dict[str, bytes]) -> Package:
    """The folder that the image is built from."""
    users = "root:x:0:0::/:/\nteam-table:x:65532:65532::/data:/\n"
    entries = [
        Entry("Containerfile", project.fill("container/Containerfile").encode()),
        Entry("etc/passwd", users.encode()),
        Entry("etc/group", b"root:x:0:\nteam-table:x:65532:\n"),
        Entry("data/.keep", b""),
        *(Entry(f"{TARGETS[target].container}/{NAME}", program, 0o755)
          for target, program in programs.items() if TARGETS[target].container),
    ]
    return f"{NAME}-{project.version}-container.tar.xz", xz(tarred(entries, project.epoch))


def stamp(epoch: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
