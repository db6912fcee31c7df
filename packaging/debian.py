"""The package for Debian and its kin, built by dpkg-deb: the program, its pages and completions, and a
service with a user of its own that is neither enabled nor started."""

import gzip
import hashlib
import os
import subprocess
import tempfile
from email.utils import formatdate
from pathlib import Path

from contents import debian_version
from files import REPOSITORY, File, from_repository, last_change

SCRIPTS = ["postinst", "prerm", "postrm"]
DOC = "usr/share/doc/fanfare"


def unit():
    """The unit in deploy/, where the package has the program, and with the package's user."""
    text = (REPOSITORY / "deploy/fanfare.service").read_text()
    # The package has done what the head of the file tells its reader to do.
    text = text[text.index("[Unit]") :]
    for old, new in [("/usr/local/bin/", "/usr/bin/"), ("DynamicUser=yes\n", "User=fanfare\nGroup=fanfare\n")]:
        assert old in text, f"deploy/fanfare.service has no {old!r}"
        text = text.replace(old, new)
    assert "/usr/local" not in text, "deploy/fanfare.service names a path that the package does not have"
    return text.encode()


def zipped(path, content):
    """A file as Debian wants documents: compressed, and without the time at which that was done."""
    return File(f"{path}.gz", gzip.compress(content, mtime=0))


def maintainer():
    """Who packs it, told as to Debian's own tools."""
    name = os.environ.get("DEBFULLNAME", "The maintainers of Fanfare")
    return f"{name} <{os.environ.get('DEBEMAIL', 'fanfare@localhost.localdomain')}>"


def changelog(version):
    """Debian's own list of changes, which leads to the program's."""
    date = formatdate(last_change(), usegmt=True).replace("GMT", "+0000")
    return (
        f"fanfare ({version}) unstable; urgency=medium\n\n"
        f"  * Version {version}: {DOC}/CHANGELOG.md.gz says what is new.\n\n"
        f" -- {maintainer()}  {date}\n"
    )


def copyright_file():
    """The licences in the form that Debian's tools read."""
    template = (REPOSITORY / "packaging/debian/copyright").read_text()
    text = (REPOSITORY / "LICENSE-MIT").read_text()
    terms = "\n".join(f" {line}" if line.strip() else " ." for line in text.strip().splitlines())
    return template.replace("{mit}", terms).encode()


def contents(version, program, pages, completions, licences):
    """What the package installs."""
    return [
        File("usr/bin/fanfare", program, 0o755),
        *(zipped(f"usr/share/man/man1/{page.path}", page.content) for page in pages),
        File("usr/share/bash-completion/completions/fanfare", completions["bash"]),
        File("usr/share/zsh/vendor-completions/_fanfare", completions["zsh"]),
        File("usr/share/fish/vendor_completions.d/fanfare.fish", completions["fish"]),
        File("usr/lib/systemd/system/fanfare.service", unit()),
        from_repository("deploy/fanfare.env", "etc/fanfare/fanfare.env", 0o600),
        File(f"{DOC}/copyright", copyright_file()),
        zipped(f"{DOC}/changelog", changelog(version).encode()),
        zipped(f"{DOC}/CHANGELOG.md", (REPOSITORY / "CHANGELOG.md").read_bytes()),
        *(
            zipped(f"{DOC}/{file.path}", file.content)
            if file.path.startswith("THIRD-PARTY")
            else File(f"{DOC}/{file.path}", file.content)
            for file in licences
            # Debian has these two in the file above, and in one place for all packages.
            if file.path not in ("LICENSE-MIT", "LICENSE-APACHE")
        ),
        from_repository("packaging/debian/lintian-overrides", "usr/share/lintian/overrides/fanfare"),
    ]


def write(out, binary, version, program, pages, completions, licences):
    """Writes the package to the folder `out`."""
    version = debian_version(version)
    files = contents(version, program, pages, completions, licences)
    control = (REPOSITORY / "packaging/debian/control").read_text().format(
        version=version,
        architecture=binary.debian_architecture,
        maintainer=maintainer(),
        size=sum(-(-len(file.content) // 1024) for file in files),
        glibc=".".join(map(str, binary.oldest)),
    )
    md5 = sorted(f"{hashlib.md5(file.content).hexdigest()}  {file.path}\n" for file in files if file.path[:4] != "etc/")
    files += [
        File("DEBIAN/control", control.encode()),
        File("DEBIAN/conffiles", b"/etc/fanfare/fanfare.env\n"),
        File("DEBIAN/md5sums", "".join(md5).encode()),
        *(from_repository(f"packaging/debian/{name}", f"DEBIAN/{name}", 0o755) for name in SCRIPTS),
    ]
    path = out / f"fanfare_{version}_{binary.debian_architecture}.deb"
    with tempfile.TemporaryDirectory() as root:
        lay_out(Path(root) / "package", files)
        build = ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", str(Path(root) / "package"), str(path)]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(last_change())}
        subprocess.run(build, check=True, env=environment, stdout=subprocess.DEVNULL)
    return path


def lay_out(root, files):
    """Writes files below a folder, with the modes they are to have whatever the umask."""
    root.mkdir()
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o755)
