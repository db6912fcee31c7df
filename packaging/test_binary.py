"""What is read from a program's file. `scripts/test-packages` runs this."""

import struct
import tempfile
import unittest

import binary
import contents


def told(content):
    """What is read from a file with this content."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return binary.read(file.name)


def mach(processor, *commands):
    """The head of a program for macOS, with these load commands."""
    size = sum(map(len, commands))
    return struct.pack("<IIIIIIII", 0xFEEDFACF, processor, 0, 2, len(commands), size, 0, 0) + b"".join(commands)


def built_for(major, minor):
    """The command that names the oldest macOS."""
    return struct.pack("<IIIIII", 0x32, 24, 1, major << 16 | minor << 8, 0, 0)


class Wrong(unittest.TestCase):
    """Named after what could go wrong."""

    def test_a_wheel_promises_an_older_macos_than_the_program_runs_on(self):
        other = struct.pack("<IIII", 0x1B, 16, 0, 0)
        arm = told(mach(0x0100000C, other, built_for(12, 0)))
        self.assertEqual((arm.target, arm.wheel_tag), ("aarch64-apple-darwin", "macosx_12_0_arm64"))
        self.assertEqual(told(mach(0x01000007, built_for(12, 3))).wheel_tag, "macosx_13_0_x86_64")
        self.assertEqual(told(mach(0x01000007, built_for(10, 12))).wheel_tag, "macosx_10_12_x86_64")

    def test_what_is_no_program_is_packed(self):
        for content in [b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01", mach(0x01000007), mach(7, built_for(12, 0))]:
            with self.assertRaises(binary.UnknownBinary):
                told(content)

    def test_a_candidate_is_taken_for_newer_than_the_version(self):
        self.assertEqual(contents.python_version("0.2.0-rc.1"), "0.2.0rc1")
        self.assertEqual(contents.debian_version("0.2.0-rc.1"), "0.2.0~rc.1")
        self.assertEqual(contents.python_version("0.2.0"), "0.2.0")


unittest.main()
