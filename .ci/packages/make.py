"""make.py OUT COMMIT EPOCH COMMON TARGET=PROGRAM...: writes the packages of these programs into OUT. COMMON holds the manual pages
and completions. Same input, same bytes."""

import json
import sys
from pathlib import Path

import formats
from project import NAME, ROOT, TARGETS, Entry, Project, sha256
from sbom import sbom


def registry(project: Project, packages: dict[str, tuple[str, bytes]]) -> bytes:
    """The repository's server.json, with the bundles, whose checksums are known now."""
    server = json.loads((ROOT / "server.json").read_text())
    for target in TARGETS:
        file, data = packages[f"mcpb {target}"]
        server["packages"].append({"registryType": "mcpb", "identifier": project.url(file), "fileSha256": sha256(data),
                                   "transport": {"type": "stdio"}})
    return (json.dumps(server, indent=2) + "\n").encode()


def main() -> None:
    out, commit, epoch, common_folder, *given = sys.argv[1:]
    project = Project(commit, int(epoch))
    programs = {target: Path(path).read_bytes() for target, path in (word.split("=", 1) for word in given)}
    folder = Path(common_folder)
    common = [Entry(str(path.relative_to(folder)), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]
    bill = sbom(project)
    packages: dict[str, tuple[str, bytes]] = {}
    for target, program in programs.items():
        about = TARGETS[target]
        packages[f"archive {target}"] = formats.archive(project, target, program, common)
        packages[f"wheel {target}"] = formats.wheel(project, target, program, bill)
        packages[f"npm {target}"] = formats.npm_platform(project, about, program)
        packages[f"mcpb {target}"] = formats.mcpb(project, about, program)
        if about.debian:
            packages[f"debian {target}"] = formats.debian(project, about, program, common, bill)
    packages["npm "] = formats.npm_main(project)
    packages["container "] = formats.container(project, programs)
    packages["sbom "] = f"{NAME}-{project.version}.cdx.json", bill
    packages["notes "] = "NOTES.md", f"{project.changes()}\n".encode()
    if len(programs) == len(TARGETS):
        words = {}
        for target in TARGETS:
            file, data = packages[f"archive {target}"]
            words |= {f"URL:{target}": project.url(file), f"SHA256:{target}": sha256(data),
                      f"FOLDER:{target}": file.removesuffix(".zip")}
        packages["homebrew "] = f"{NAME}.rb", project.fill(f"homebrew/{NAME}.rb.in", **words).encode()
        packages["scoop "] = f"{NAME}.json", project.fill(f"scoop/{NAME}.json.in", **words).encode()
        packages["registry "] = "server.json", registry(project, packages)
    else:
        print(f"no formula, no Scoop manifest, no server.json: they need all of {', '.join(TARGETS)}")
    files = []
    for what, (file, data) in packages.items():
        kind, _, target = what.partition(" ")
        Path(out, file).write_bytes(data)
        files.append({"file": file, "kind": kind, "target": target, "size": len(data), "sha256": sha256(data)})
    files.sort(key=lambda file: file["file"])
    release = {"name": NAME, "version": project.version, "commit": project.commit, "date": project.date, "files": files}
    Path(out, "release.json").write_text(json.dumps(release, indent=1) + "\n")
    sums = [(file["sha256"], file["file"]) for file in files] + [(sha256(Path(out, "release.json").read_bytes()), "release.json")]
    Path(out, "SHA256SUMS").write_text("".join(f"{digest}  {file}\n" for digest, file in sums))
    for file in files:
        print(f"{file['sha256'][:16]}  {file['size']:>9}  {file['file']}")


main()
