"""The wheel for `pip install` and `uvx`: the program as a script, which lands in the environment's bin/.
Its form is that of the binary distribution format (packaging.python.org/specifications)."""

import base64
import hashlib
import time
import zipfile

from contents import python_version
from files import REPOSITORY, File, last_change

METADATA = """\
Metadata-Version: 2.4
Name: fanfare
Version: {version}
Summary: A hub for Server-Sent Events
License-Expression: MIT OR Apache-2.0
{licence_files}Keywords: sse,server-sent-events,eventsource,pubsub
Classifier: Environment :: Console
Classifier: Operating System :: {system}
Classifier: Programming Language :: Rust
Classifier: Topic :: Internet :: WWW/HTTP :: HTTP Servers
Requires-Python: >=3.8
Description-Content-Type: text/markdown

{description}"""

WHEEL = """\
Wheel-Version: 1.0
Generator: fanfare ({version})
Root-Is-Purelib: false
Tag: py3-none-{tag}
"""


def write(out, binary, version, program, licences):
    """Writes the wheel to the folder `out`."""
    version = python_version(version)
    info = f"fanfare-{version}.dist-info"
    system = "POSIX :: Linux" if binary.system == "linux" else "MacOS"
    metadata = METADATA.format(
        version=version,
        licence_files="".join(f"License-File: {file.path}\n" for file in licences),
        system=system,
        description=(REPOSITORY / "packaging/registry.md").read_text(),
    )
    files = [
        File(f"fanfare-{version}.data/scripts/fanfare", program, 0o755),
        *(File(f"{info}/licenses/{file.path}", file.content) for file in licences),
        File(f"{info}/METADATA", metadata.encode()),
        File(f"{info}/WHEEL", WHEEL.format(version=version, tag=binary.wheel_tag).encode()),
    ]
    files.append(record(f"{info}/RECORD", files))
    path = out / f"fanfare-{version}-py3-none-{binary.wheel_tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.path, time.gmtime(last_change())[:6])
            entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | file.mode) << 16
            archive.writestr(entry, file.content)
    return path


def record(path, files):
    """The list of all files with their sums, itself without one."""
    lines = []
    for file in files:
        sum = base64.urlsafe_b64encode(hashlib.sha256(file.content).digest()).rstrip(b"=").decode()
        lines.append(f"{file.path},sha256={sum},{len(file.content)}\n")
    return File(path, "".join([*lines, f"{path},,\n"]).encode())
