"""Files on their way into packages, and the archives they go into. The same files give the same bytes,
whoever packs them, wherever, and whenever: names are in order, times are those of the last change."""

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class File:
    """A file of a package: where it goes, what is in it, and who may do what with it."""

    path: str
    content: bytes
    mode: int = 0o644


def from_repository(path, name=None, mode=0o644):
    """A file of the repository, under another name if one is given."""
    return File(name or path, (REPOSITORY / path).read_bytes(), mode)


def last_change():
    """When what is packed was last changed, in seconds since 1970: SOURCE_DATE_EPOCH, else the commit's."""
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(told)
    git = ["git", "-C", str(REPOSITORY), "log", "-1", "--format=%ct"]
    return int(subprocess.run(git, check=True, capture_output=True, text=True).stdout)


def tar_gz(path, folder, files):
    """Writes files to an archive at `path`, below one folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(files, key=lambda file: file.path):
            entry = tarfile.TarInfo(f"{folder}/{file.path}")
            entry.size, entry.mode, entry.mtime = len(file.content), file.mode, last_change()
            archive.addfile(entry, io.BytesIO(file.content))
    path.write_bytes(gzip.compress(packed.getvalue(), compresslevel=6, mtime=0))
    return path


def sums(files):
    """What `sha256sum --check` reads, of all these files."""
    lines = [f"{hashlib.sha256(file.content).hexdigest()}  {file.path}\n" for file in files]
    return File("SHA256SUMS", "".join(sorted(lines, key=lambda line: line[66:])).encode())
