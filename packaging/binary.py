"""What a program's file says about where it runs: the system, the processor, and the oldest C library
or macOS it works with. Read from the file itself, so that a package never promises more than it does."""

import re
import struct
from dataclasses import dataclass

# What every Linux with glibc has, by PEP 600.
SYSTEM_LIBRARIES = re.compile(r"^(libc|libm|libdl|libpthread|librt|libutil|libgcc_s)\.so\.\d$|^ld-linux-[\w-]+\.so\.\d$")

ELF_MACHINES = {62: "x86_64", 183: "aarch64"}
MACH_PROCESSORS = {0x01000007: "x86_64", 0x0100000C: "aarch64"}


class UnknownBinary(Exception):
    """A file of which no package can be made, and why."""


@dataclass(frozen=True)
class Binary:
    """A program for one system and processor."""

    system: str  # linux or darwin
    processor: str  # x86_64 or aarch64
    oldest: tuple  # of glibc or macOS

    @property
    def target(self):
        """The name that Rust gives it."""
        suffix = "unknown-linux-gnu" if self.system == "linux" else "apple-darwin"
        return f"{self.processor}-{suffix}"

    @property
    def wheel_tag(self):
        """The name that Python gives it."""
        major, minor = self.oldest
        if self.system == "linux":
            return f"manylinux_{major}_{minor}_{self.processor}"
        if major >= 11:
            # Since macOS 11, pip asks for whole versions only.
            major, minor = major + (minor > 0), 0
        return f"macosx_{major}_{minor}_{'arm64' if self.processor == 'aarch64' else 'x86_64'}"

    @property
    def debian_architecture(self):
        """The name that Debian gives the processor."""
        return {"x86_64": "amd64", "aarch64": "arm64"}[self.processor]

    @property
    def node_platform(self):
        """What Node calls the system and the processor."""
        return self.system, {"x86_64": "x64", "aarch64": "arm64"}[self.processor]


def read(path):
    """What the file at `path` says of itself."""
    with open(path, "rb") as file:
        image = file.read()
    try:
        if image[:4] == b"\x7fELF":
            return _elf(image)
        if image[:4] == b"\xcf\xfa\xed\xfe":
            return _mach(image)
    except (struct.error, IndexError) as error:
        raise UnknownBinary(f"{path} is cut short or damaged: {error}") from error
    raise UnknownBinary(f"{path} is neither a program for Linux nor one for macOS")


def _text(image, at):
    return image[at : image.index(b"\0", at)].decode()


def _elf(image):
    if image[4:6] != b"\x02\x01":
        raise UnknownBinary("the program is not for a 64-bit little-endian processor")
    (machine,) = struct.unpack_from("<H", image, 18)
    if machine not in ELF_MACHINES:
        raise UnknownBinary(f"no package is made for the processor with ELF's number {machine}")
    (sections,) = struct.unpack_from("<Q", image, 40)
    size, count = struct.unpack_from("<HH", image, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", image, sections + n * size) for n in range(count)]
    libraries, versions = [], set()
    for _, kind, _, _, offset, length, link, _, _, _ in headers:
        if kind == 6:  # SHT_DYNAMIC
            strings = headers[link][4]
            for at in range(offset, offset + length, 16):
                tag, value = struct.unpack_from("<QQ", image, at)
                if tag == 1:  # DT_NEEDED
                    libraries.append(_text(image, strings + value))
        elif kind == 0x6FFFFFFE:  # SHT_GNU_verneed
            versions |= _needed_versions(image, offset, headers[link][4])
    foreign = [name for name in libraries if not SYSTEM_LIBRARIES.match(name)]
    if foreign:
        raise UnknownBinary(f"the program needs libraries that not every Linux has: {', '.join(foreign)}")
    if not versions:
        raise UnknownBinary("the program is not linked with glibc, for which the packages are")
    return Binary("linux", ELF_MACHINES[machine], max(versions))


def _needed_versions(image, file, strings):
    """The versions of glibc's symbols in a section of needed versions: a list of files, of each a list."""
    versions = set()
    while True:
        _, count, _, aux, following = struct.unpack_from("<HHIII", image, file)
        at = file + aux
        for _ in range(count):
            _, _, _, name, beyond = struct.unpack_from("<IHHII", image, at)
            # At most three numbers: 2.2.5 is 2.2 for who compares with 2.34.
            if found := re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", _text(image, strings + name)):
                versions.add(tuple(map(int, found.groups())))
            at += beyond
        if not following:
            return versions
        file += following


def _mach(image):
    processor, _, _, count = struct.unpack_from("<IIII", image, 4)
    if processor not in MACH_PROCESSORS:
        raise UnknownBinary(f"no package is made for the processor with Mach-O's number {processor}")
    at = 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", image, at)
        # LC_BUILD_VERSION has the platform first, LC_VERSION_MIN_MACOSX the version alone.
        where = {0x32: 12, 0x24: 8}.get(command)
        if where:
            (version,) = struct.unpack_from("<I", image, at + where)
            return Binary("darwin", MACH_PROCESSORS[processor], (version >> 16, version >> 8 & 0xFF))
        at += size
    raise UnknownBinary("the program does not say which macOS it needs")
