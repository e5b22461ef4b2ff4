#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""patchtree.py SOURCE [PATCH...]: makes SOURCE/tree what the pristine source with these patches is.

Files that come out as they already stand are not written, so make compiles only what changed. The
pristine text of each file that any series ever touched is kept in SOURCE/pristine, and the list of
touched files in SOURCE/touched, which is written before the first file is: an interrupted run is
mended by the next one."""

import os
import re
import shutil
import subprocess
import sys
import tempfile


def files_of(patches):
    names = set()
    for patch in patches:
        with open(patch, encoding="utf-8") as f:
            for line in f:
                m = re.match(r"(?:--- a|\+\+\+ b)/([^\t\n]+)", line)
                if m:
                    names.add(m.group(1))
    return names


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def copy(source, dest):
    """Never writes into the old file: other flavours' trees may have hard links to it."""
    os.makedirs(os.path.dirname(dest), exist_ok=True)
    shutil.copy(source, dest + ".new")
    os.replace(dest + ".new", dest)


def apply_series(pristine_of, names, patches, stage):
    for name in names:
        source = pristine_of(name)
        if os.path.exists(source):
            copy(source, os.path.join(stage, name))
    for patch in patches:
        run = subprocess.run(["patch", "-p1", "-F0", "-f", "-s", "--no-backup-if-mismatch",
                              "-d", stage, "-i", os.path.abspath(patch)],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if run.returncode:
            sys.exit(f"emu: {os.path.basename(patch)}:\n{run.stdout}")


def main():
    source, patches = sys.argv[1], sys.argv[2:]
    tree, pristine = os.path.join(source, "tree"), os.path.join(source, "pristine")
    record = os.path.join(source, "touched")
    touched = set((read(record) or b"").decode().split("\n")) - {""}
    wanted = files_of(patches)

    def pristine_of(name):
        return os.path.join(pristine if name in touched else tree, name)

    with tempfile.TemporaryDirectory(dir=source) as stage:
        apply_series(pristine_of, wanted, patches, stage)
        for name in wanted - touched:
            if os.path.exists(os.path.join(tree, name)):
                copy(os.path.join(tree, name), os.path.join(pristine, name))
        touched |= wanted
        with open(record + ".new", "w", encoding="utf-8") as f:
            f.write("\n".join(sorted(touched)) + "\n")
        os.replace(record + ".new", record)
        for name in sorted(touched):
            new = os.path.join(stage if name in wanted else pristine, name)
            old = os.path.join(tree, name)
            if not os.path.exists(new):
                if os.path.exists(old):
                    os.remove(old)
            elif read(new) != read(old):
                copy(new, old)


main()
