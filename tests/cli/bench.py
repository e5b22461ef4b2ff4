#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""doorbell-bench: names and fields that others rely on, what is counted, what is refused. No times are judged."""

import subprocess
import sys

from doorbell import check, equal, main

NAMES = ["tlb_hit", "tlb_hit_2threads", "walk_warm", "walk_spread", "tlb_4096_pages", "invalidate_page", "msi_eventfd", "invalidate_batch",
         "enable_vectors_2048", "map_1g_range", "map_1g_4k", "ioas_million", "fleet_1000"]
FIELDS = ["name", "unit", "median", "spread", "limit_name", "limit", "ratio", "target_ratio"]


def rows(doorbell, *names):
    report = doorbell.call("--json", "--runs", "1", *names).good()
    equal(list(report), ["benches"], "keys")
    for row in report["benches"]:
        equal(list(row), FIELDS, "fields")
        for field in FIELDS:
            wanted = str if field in ("name", "unit", "limit_name") else (int, float)
            check(isinstance(row[field], wanted), f'{row["name"]}: {field} is {row[field]!r}')
        check(row["median"] > 0 and row["limit"] > 0, f'{row["name"]}: nothing was measured')
    return {row["name"]: row for row in report["benches"]}


def names(doorbell):
    listed = doorbell.call("--list")
    equal(listed.status, 0, "exit status")
    command = doorbell.path.removesuffix("-bench")
    by_command = subprocess.run([command, "bench", "--list"], capture_output=True, text=True, check=True).stdout
    equal(by_command, listed.stdout, "`doorbell bench`")
    have = {line.split()[0] for line in listed.stdout.splitlines()}
    equal([name for name in NAMES if name not in have], [], "names missing")


def fields(doorbell):
    wanted = ["tlb_hit", "msi_eventfd", "msi_burst", "invalidate_batch", "map_1g_range"]
    equal(sorted(rows(doorbell, *wanted)), sorted(wanted), "rows")


def counts(doorbell):
    got = rows(doorbell, "enable_ioctls", "enable_ioctls_at_once", "enable_allocations", "enable_allocs_at_once")
    check(2 <= got["enable_ioctls"]["median"] < 2.01, f'{got["enable_ioctls"]["median"]} ioctls a vector')
    equal(got["enable_ioctls_at_once"]["median"], 2, "ioctls for all vectors")
    check(got["enable_allocations"]["ratio"] <= 1.01, "allocations grow with the number of vectors")
    check(got["enable_allocs_at_once"]["ratio"] <= 1, "more allocations at once than one by one")


def growth(doorbell):
    report = doorbell.call("--growth", "vectors").good()
    equal(list(report), ["growth"], "keys")
    check(len(report["growth"]) >= 3, "curves")
    for curve in report["growth"]:
        equal(list(curve), ["axis", "operation", "unit", "points"], "fields")
        sizes = [size for size, _ in curve["points"]]
        equal((sizes[0], sizes[-1]), (1, 2048), "sizes")
        check(all(cost > 0 for _, cost in curve["points"]), "costs")


def refused(doorbell):
    for arguments in (["no_such_bench"], ["--runs", "0"], ["--no-such-option"], ["--growth", "no_such_axis"]):
        equal(doorbell.call(*arguments).status, 2, f"exit status of {arguments}")


if __name__ == "__main__":
    sys.exit(main([(case.__name__, case) for case in (names, fields, counts, growth, refused)]))
