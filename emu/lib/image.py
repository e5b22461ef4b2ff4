#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""image.py VMLINUZ OUT: the arm64 Image in a kernel package's vmlinuz, which is that Image as it is, gzipped, or
a small EFI program that carries it gzipped or in zstd (Linux's CONFIG_EFI_ZBOOT)."""

import gzip
import struct
import subprocess
import sys


def unpack(data):
    if data[56:60] == b"ARM\x64":
        return data
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[4:8] == b"zimg":
        start, size = struct.unpack_from("<II", data, 8)
        payload = data[start:start + size]
        kind = data[24:56].split(b"\0")[0].decode()
        if kind == "gzip":
            return gzip.decompress(payload)
        return subprocess.run([kind, "-dc"], input=payload, stdout=subprocess.PIPE, check=True).stdout
    sys.exit("image.py: no arm64 kernel in " + sys.argv[1])


def main():
    with open(sys.argv[1], "rb") as f:
        image = unpack(f.read())
    if image[56:60] != b"ARM\x64":
        sys.exit("image.py: what was unpacked is no arm64 Image")
    with open(sys.argv[2], "wb") as f:
        f.write(image)


main()
