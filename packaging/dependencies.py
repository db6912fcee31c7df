"""What the program is made of, as Cargo resolves it for one target: the crates that are compiled into
it, those that only build it, and the vendored files of its pages."""

import base64
import json
import re
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from files import REPOSITORY


@dataclass
class Part:
    """One thing the program is made of."""

    name: str
    version: str
    licence: str  # as an SPDX expression
    purl: str
    in_program: bool = True
    sha256: str = ""
    sha512: str = ""
    folder: Path = None
    licence_file: str = ""  # where there is no expression
    needs: list = field(default_factory=list)  # purls


def cargo(*arguments):
    """What a command of Cargo prints."""
    command = ["cargo", *arguments, "--locked"]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout


def tree(target, edges):
    """Names and versions of what Cargo compiles for the program, following these kinds of edges."""
    options = ["--package", "fanfare", "--target", target, "--edges", edges, "--prefix", "none", "--format", "{p}"]
    found = re.findall(r"^([\w-]+) v(\S+)", cargo("tree", *options), re.MULTILINE)
    return set(found)


def crates(target):
    """The program's own crate first, then all others by name."""
    compiled = tree(target, "normal")
    built_with = tree(target, "normal,build")
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))
    lock = tomllib.loads((REPOSITORY / "Cargo.lock").read_text())["package"]
    sums = {(each["name"], each["version"]): each.get("checksum", "") for each in lock}
    parts, key = {}, {}
    for package in metadata["packages"]:
        found = package["name"], package["version"]
        if found in built_with:
            key[package["id"]] = found
            parts[found] = Part(
                *found,
                # The way of writing "or" from before SPDX.
                licence=(package["license"] or "").replace("/", " OR "),
                purl="pkg:cargo/{}@{}".format(*found),
                in_program=found in compiled,
                sha256=sums.get(found, ""),
                folder=Path(package["manifest_path"]).parent,
            )
    for node in metadata["resolve"]["nodes"]:
        if node["id"] in key:
            needed = {key[each["pkg"]] for each in node["deps"]
                      if each["pkg"] in key and any(kind["kind"] != "dev" for kind in each["dep_kinds"])}
            parts[key[node["id"]]].needs = sorted(parts[each].purl for each in needed)
    program = next(part for part in parts.values() if part.name == "fanfare")
    return [program, *(parts[each] for each in sorted(parts) if parts[each] is not program)]


def vendored():
    """The packages of npm whose files are embedded, as scripts/vendor fetches them."""
    vendor = REPOSITORY / "crates/http/assets/vendor"
    script = (REPOSITORY / "scripts/vendor").read_text()
    fetched = re.findall(r"^take (\S+) (\S+)@(\S+) \\\n +sha512-(\S+)", script, re.MULTILINE)
    described = (vendor / "VENDORED.md").read_text()
    parts = []
    for folder, name, version, integrity in fetched:
        licence = re.search(rf"^\| licence \| (\S+) \(`{folder}/LICENSE`", described, re.MULTILINE)[1]
        sha512 = base64.b64decode(integrity).hex()
        parts.append(Part(name, version, licence, f"pkg:npm/{name}@{version}", sha512=sha512, folder=vendor / folder))
    if {part.folder.name for part in parts} != {path.name for path in vendor.iterdir() if path.is_dir()}:
        raise ValueError("scripts/vendor does not fetch what is in assets/vendor")
    return parts
