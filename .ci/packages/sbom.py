"""The software bill of materials: what is compiled into the program, as CycloneDX 1.6, from cargo's own resolution."""

import json
import subprocess
import tomllib
import uuid

from formats import stamp
from project import NAME, ROOT, TARGETS, Project


def resolved(target: str) -> dict:
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def compiled_in(metadata: dict, start: str) -> dict[str, list[str]]:
    """What the program depends on at run time, each with what it depends on: no build scripts, no tests."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    macros = {package["id"] for package in metadata["packages"]
              if any("proc-macro" in target["kind"] for target in package["targets"])}
    found: dict[str, list[str]] = {}
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        normal = [dependency["pkg"] for dependency in nodes[one]["deps"]
                  if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and dependency["pkg"] not in macros]
        found[one] = sorted(normal)
        waiting += normal
    return found


def sbom(project: Project) -> bytes:
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    sums = {(package["name"], package["version"]): package.get("checksum") for package in locked}
    packages: dict[str, dict] = {}
    depends: dict[str, set[str]] = {}
    targets: dict[str, list[str]] = {}
    for target in TARGETS:
        metadata = resolved(target)
        all_packages = {package["id"]: package for package in metadata["packages"]}
        start = next(package["id"] for package in all_packages.values() if package["name"] == NAME)
        refs = {one: f"{package['name']}@{package['version']}" for one, package in all_packages.items()}
        for one, normal in compiled_in(metadata, start).items():
            packages[refs[one]] = all_packages[one]
            depends.setdefault(refs[one], set()).update(refs[other] for other in normal)
            targets.setdefault(refs[one], []).append(target)

    def component(ref: str) -> dict:
        package = packages[ref]
        out = {"type": "application" if package["name"] == NAME else "library", "bom-ref": ref, "name": package["name"],
               "version": package["version"], "purl": f"pkg:cargo/{package['name']}@{package['version']}"}
        if package["license"]:
            out["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if checksum := sums[package["name"], package["version"]]:
            out["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if len(targets[ref]) < len(TARGETS):
            out["properties"] = [{"name": "team-table:target", "value": target} for target in targets[ref]]
        return out

    main = f"{NAME}@{project.version}"
    return (json.dumps({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{project.repository}/{project.version}/{project.commit}')}",
        "metadata": {"timestamp": stamp(project.epoch), "component": component(main)},
        "components": [component(ref) for ref in sorted(packages) if ref != main],
        "dependencies": [{"ref": ref, "dependsOn": sorted(depends[ref])} for ref in sorted(packages)],
    }, indent=1) + "\n").encode()
