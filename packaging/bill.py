"""Writes the bill of materials of the program, or of an image with it, in the form of CycloneDX, and the
licences of all that is in the program. `scripts/sbom` calls it."""

import argparse
import json
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

import debian_packages
import dependencies
from files import last_change

LICENCE_FILES = ("license", "licence", "copying", "notice", "unlicense", "copyright")


def component(part, kind):
    """A part as CycloneDX has it."""
    described = {
        "type": kind,
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "scope": "required" if part.in_program else "excluded",
        "purl": part.purl,
    }
    if part.licence:
        described["licenses"] = [{"expression": part.licence}]
    elif part.licence_file:
        described["licenses"] = [{"license": {"name": f"as {part.licence_file} says"}}]
    hashes = [("SHA-256", part.sha256), ("SHA-512", part.sha512)]
    if found := [{"alg": name, "content": content} for name, content in hashes if content]:
        described["hashes"] = found
    return described


def bill(target, program, others, base=None):
    """The whole document, of an image if there is a `base`. The same program has the same one, serial number
    and time included."""
    listed = [program, *([base] if base else []), *others]
    changed = datetime.fromtimestamp(last_change(), timezone.utc)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": changed.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": component(program, "application"),
            "properties": [{"name": "cargo:target", "value": target}],
        },
        "components": [
            *([component(base, "container")] if base else []),
            *(component(part, "library") for part in others),
        ],
        "dependencies": [{"ref": part.purl, "dependsOn": part.needs} for part in listed],
    }
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"}


def check(document):
    """Says what is missing in a bill, rather than leave it out."""
    known = {each["bom-ref"] for each in document["components"]} | {document["metadata"]["component"]["bom-ref"]}
    for each in document["components"]:
        if not each["purl"] or (each["type"] == "library" and not each.get("licenses")):
            yield f"{each['name']} {each['version']} has no licence or no purl"
    for each in document["dependencies"]:
        for needed in set(each["dependsOn"]) - known:
            yield f"{each['ref']} needs {needed}, which is not listed"


def licence_texts(parts):
    """What the licences of what is in the program want to be passed on: their texts, each once."""
    texts = {}
    for part in parts:
        paths = [path for pattern in ("*", "*/*") for path in part.folder.glob(pattern)
                 if path.name.lower().startswith(LICENCE_FILES)]
        for path in sorted(paths):
            if path.is_file() and path.suffix not in (".rs", ".html", ".json", ".py", ".sh"):
                text = path.read_text(errors="replace").strip()
                texts.setdefault(text, []).append(f"{part.name} {part.version}")
    yield "What the program fanfare is made of beside its own code, and under which licences.\n\n"
    yield from (f"{part.name} {part.version}: {part.licence}\n" for part in parts)
    for text, users in texts.items():
        yield f"\n{'-' * 100}\n{', '.join(dict.fromkeys(users))}\n\n{text}\n"


def main():
    """Writes both files."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--target", required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--licences", type=Path, required=True)
    arguments.add_argument("--image", help="the image that the program is put upon")
    arguments.add_argument("--packages", type=Path, help="what dpkg knows of the packages in that image")
    told = arguments.parse_args()
    program, *crates = dependencies.crates(told.target)
    others = [*crates, *dependencies.vendored()]
    base = None
    if told.image or told.packages:
        if not (told.image and told.packages):
            sys.exit("scripts/sbom: --image and --packages go together")
        try:
            packages = debian_packages.read(told.packages)
            base = debian_packages.image(told.image, packages)
        except (OSError, ValueError) as error:
            sys.exit(f"scripts/sbom: {error}")
        program.needs.append(base.purl)
        others += packages
    document = bill(told.target, program, others, base)
    if faults := list(check(document)):
        sys.exit("scripts/sbom: " + "\n".join(faults))
    told.out.write_text(json.dumps(document, indent=1) + "\n")
    # The workspace's own crates have the program's own licences.
    foreign = [part for part in others if part.in_program and (part.sha256 or part.sha512)]
    told.licences.write_text("".join(licence_texts(foreign)))
    print(f"{told.out}: {len(others)} parts, of which {sum(part.in_program for part in others)} are in the program")


main()
