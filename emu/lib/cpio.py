#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""cpio.py OUT NAME=FILE... : writes a "newc" cpio archive (the kernel's buffer-format.rst) with
these regular files, executable, the folders above them, and dev/console, which the kernel opens
for process 1 before anything is mounted. Uncompressed: the kernel reads ACPI tables from nothing
else, and needs no decompressor."""

import os
import stat
import sys


def entry(ino, name, mode, data=b"", rdev=(0, 0)):
    name = name.encode() + b"\0"
    fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name), 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def main():
    files = dict(arg.split("=", 1) for arg in sys.argv[2:])
    folders = {"dev"}
    for name in files:
        while os.path.dirname(name):
            name = os.path.dirname(name)
            folders.add(name)
    entries = [(name, stat.S_IFDIR | 0o755, b"", (0, 0)) for name in sorted(folders)]
    entries.append(("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)))
    for name, path in files.items():
        with open(path, "rb") as f:
            entries.append((name, stat.S_IFREG | 0o755, f.read(), (0, 0)))
    entries.append(("TRAILER!!!", 0, b"", (0, 0)))
    with open(sys.argv[1], "wb") as out:
        for ino, (name, mode, data, rdev) in enumerate(entries, 1):
            out.write(entry(ino, name, mode, data, rdev))


main()
