"""The packages for npm. For `npx fanfare`: a launcher, and for each platform one with the program, of which
npm installs only the one that runs where it is installed. For pages: the client, as it is in clients/js."""

import json

from files import REPOSITORY, File, from_repository, tar_gz

PLATFORMS = [("linux", "x64"), ("linux", "arm64"), ("darwin", "x64"), ("darwin", "arm64")]


def name(platform):
    """The package with the program for a platform. The scope keeps others from taking its name."""
    return "@fanfare/" + "-".join(platform)


def described(version, **more):
    """A package.json."""
    description = {"version": version, "license": "MIT OR Apache-2.0", **more}
    return File("package.json", (json.dumps(description, indent=2) + "\n").encode())


def write(out, binary, version, program, licences):
    """Writes the launcher's package and this platform's to the folder `out`."""
    system, processor = platform = binary.node_platform
    readme = from_repository("packaging/registry.md", "README.md")
    launcher = [
        described(
            version,
            name="fanfare",
            description="A hub for Server-Sent Events",
            keywords=["sse", "server-sent-events", "eventsource", "pubsub"],
            bin={"fanfare": "bin/fanfare.js"},
            files=["bin"],
            engines={"node": ">=18"},
            optionalDependencies={name(each): version for each in PLATFORMS},
        ),
        from_repository("packaging/npm/fanfare.js", "bin/fanfare.js", 0o755),
        readme,
        *licences[:2],
    ]
    libc = {"libc": ["glibc"]} if system == "linux" else {}
    whole = [
        described(
            version,
            name=name(platform),
            description=f"The program of the package fanfare, for {system} on {processor}",
            files=["bin", "THIRD-PARTY-LICENSES.txt", "embedded"],
            os=[system],
            cpu=[processor],
            **libc,
            preferUnplugged=True,
        ),
        File("bin/fanfare", program, 0o755),
        readme,
        *licences,
    ]
    return [
        tar_gz(out / f"fanfare-{version}.tgz", "package", launcher),
        tar_gz(out / f"fanfare-{system}-{processor}-{version}.tgz", "package", whole),
    ]


def write_client(out):
    """Writes the package of clients/js to the folder `out`: what its package.json names, as `npm pack` does."""
    root = REPOSITORY / "clients/js"
    description = json.loads((root / "package.json").read_text())
    files = []
    for name in ["package.json", "README.md", *description["files"]]:
        path = root / name
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            files.append(File(str(file.relative_to(root)), file.read_bytes()))
    return tar_gz(out / f"{description['name']}-{description['version']}.tgz", "package", files)
