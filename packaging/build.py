"""Makes every package for the platform of one built program. `scripts/package` calls it."""

import argparse
import shutil
import sys
from pathlib import Path

import binary
import contents
import debian
import npm
import wheel
from files import File, from_repository, sums, tar_gz


def archive(out, target, version, program, pages, completions, licences):
    """The archive for whoever installs by hand, and for `cargo binstall`."""
    completed = [File(f"completions/{shell}/{name}", completions[shell]) for shell, name in {
        "bash": "fanfare", "elvish": "fanfare.elv", "fish": "fanfare.fish",
        "powershell": "_fanfare.ps1", "zsh": "_fanfare",
    }.items()]
    unit = [] if "linux" not in target else [
        from_repository("deploy/fanfare.service", "systemd/fanfare.service"),
        from_repository("deploy/fanfare.env", "systemd/fanfare.env", 0o600),
    ]
    files = [
        File("fanfare", program, 0o755),
        *(File(f"man/{page.path}", page.content) for page in pages),
        *completed,
        *unit,
        *licences,
        from_repository("README.md"),
        from_repository("CHANGELOG.md"),
        from_repository("docs/install.md", "INSTALL.md"),
    ]
    name = f"fanfare-{version}-{target}"
    return tar_gz(out / f"{name}.tar.gz", name, [*files, sums(files)])


def main():
    """Packs the program at --binary into --out."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--binary", type=Path, required=True)
    arguments.add_argument("--third-party", type=Path, required=True, help="licences of what is compiled in")
    arguments.add_argument("--out", type=Path, required=True)
    told = arguments.parse_args()
    try:
        kind = binary.read(told.binary)
    except (OSError, binary.UnknownBinary) as error:
        sys.exit(f"scripts/package: {error}")
    program = told.binary.read_bytes()
    path = str(told.binary.resolve())
    version = contents.version(path)
    pages, completions = contents.manual_pages(path), contents.completions(path)
    licences = contents.licences(told.third_party.read_bytes())
    made = [
        archive(told.out, kind.target, version, program, pages, completions, licences),
        wheel.write(told.out, kind, version, program, licences),
        *npm.write(told.out, kind, version, program, licences),
        npm.write_client(told.out),
    ]
    if kind.system == "linux" and shutil.which("dpkg-deb"):
        made.append(debian.write(told.out, kind, version, program, pages, completions, licences))
    elif kind.system == "linux":
        print("scripts/package: dpkg-deb is not installed: there is no .deb", file=sys.stderr)
    for file in made:
        print(file)


main()
