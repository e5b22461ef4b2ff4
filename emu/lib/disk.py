#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""disk.py OUT MIB SEED: a disk whose content a test can know without having it: the 64-bit
little-endian word at byte 8 * n is splitmix64(SEED << 32 | n)."""

import array
import sys

MASK = (1 << 64) - 1


def splitmix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def main():
    words, seed = int(sys.argv[2]) << 17, int(sys.argv[3]) << 32
    content = array.array("Q", (splitmix64(seed | n) for n in range(words)))
    if sys.byteorder == "big":
        content.byteswap()
    with open(sys.argv[1], "wb") as f:
        content.tofile(f)


main()
