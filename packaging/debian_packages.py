"""The packages of Debian that an image without a package manager is made of: each has a description of its
own in /var/lib/dpkg/status.d, in the form of dpkg's database."""

import re
from urllib.parse import quote

from dependencies import Part


def read(folder):
    """What the folder describes, by name."""
    parts = {}
    for path in sorted(folder.iterdir()):
        fields = dict(re.findall(r"^([A-Za-z-]+): *(.*)$", path.read_text(errors="replace"), re.MULTILINE))
        # Beside them lie the checksums of their files.
        if not {"Package", "Version", "Architecture"} <= fields.keys():
            continue
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        parts[name] = Part(
            name,
            version,
            licence="",
            licence_file=f"/usr/share/doc/{name}/copyright",
            purl=f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={architecture}",
        )
        # What it needs, of each choice the first.
        wanted = ",".join(fields.get(field, "") for field in ("Pre-Depends", "Depends")).split(",")
        parts[name].needs = [re.split(r"[ :|(]", each.strip())[0] for each in wanted if each.strip()]
    for part in parts.values():
        part.needs = sorted({parts[name].purl for name in part.needs if name in parts})
    if not parts:
        raise ValueError(f"{folder} describes no package")
    return [parts[name] for name in sorted(parts)]


def image(reference, packages):
    """The image itself, by the name that was pulled: repository, tag and digest."""
    form = r"(?P<repository>(.*/)?(?P<name>[^/:@]+))(:(?P<tag>[^/@]+))?@(?P<digest>sha256:[0-9a-f]{64})"
    found = re.fullmatch(form, reference)
    if not found:
        raise ValueError(f"{reference} names no digest: an image is what NAME:TAG@sha256:… says")
    digest, repository = quote(found["digest"], safe=""), quote(found["repository"], safe="/")
    purl = f"pkg:oci/{found['name']}@{digest}?repository_url={repository}"
    needs = [part.purl for part in packages]
    return Part(found["name"], found["tag"] or found["digest"], licence="", purl=purl, needs=needs)
