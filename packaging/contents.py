"""What goes into every package beside the program: what the program says of itself (manual pages,
completions, its version), and under which licences it and its parts are."""

import re
import subprocess

from files import REPOSITORY, File, from_repository

SHELLS = ["bash", "elvish", "fish", "powershell", "zsh"]


def said(program, *arguments):
    """What the program prints."""
    return subprocess.run([program, *arguments], check=True, capture_output=True).stdout


def version(program):
    """The program's version, as in `fanfare 0.1.0`."""
    return said(program, "--version").decode().split()[1]


def python_version(version):
    """As Python writes it: 0.2.0-rc.1 is 0.2.0rc1 there."""
    return re.sub(r"-(alpha|beta|rc)\.?", lambda found: {"alpha": "a", "beta": "b", "rc": "rc"}[found[1]], version)


def debian_version(version):
    """As Debian writes it, where 0.2.0~rc.1 comes before 0.2.0."""
    return version.replace("-", "~")


def manual_pages(program):
    """The pages of the program and of each command, found by what each page refers to."""
    pages, unread = {}, [()]
    while unread:
        command = unread.pop()
        name = "-".join(["fanfare", *command])
        pages[name] = File(f"{name}.1", said(program, "man", *command))
        references = re.findall(rb"^fanfare((?:\\-\w+)+)\(1\)$", pages[name].content, re.MULTILINE)
        for reference in references:
            words = tuple(reference.decode().split("\\-")[1:])
            # `help` repeats what the other pages say, and has no page.
            if words[-1] != "help" and "-".join(["fanfare", *words]) not in pages:
                unread.append(words)
    return [pages[name] for name in sorted(pages)]


def completions(program):
    """The scripts that complete the command line, by shell."""
    return {shell: said(program, "completions", shell) for shell in SHELLS}


def licences(third_party):
    """The licences of the program, of what is compiled into it, and of the pages embedded in it."""
    vendor = REPOSITORY / "crates/http/assets/vendor"
    names = ("LICENSE", "NOTICE", ".LICENSE.txt")
    embedded = [path for path in sorted(vendor.glob("*/*")) if path.name.endswith(names)]
    return [
        from_repository("LICENSE-MIT"),
        from_repository("LICENSE-APACHE"),
        File("THIRD-PARTY-LICENSES.txt", third_party),
        *(File(f"embedded/{path.relative_to(vendor)}", path.read_bytes()) for path in embedded),
    ]
