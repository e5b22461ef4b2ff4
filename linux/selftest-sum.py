#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""selftest-sum.py LOGS KERNELS PARTS: sums up what linux/selftest has run. See there."""

import os
import re
import sys

RESULT = re.compile(r"(not ok|ok) \d+ (\S+)(.*)")
KUNIT = re.compile(r"kunit +# (\w+): pass:(\d+) fail:(\d+) skip:(\d+)")


class Run:
    """What one kernel said: a verdict for each test of each program."""

    def __init__(self):
        self.tests, self.programs, self.kunit = {}, [], {}
        self.leaks, self.boots = {}, {}

    def read(self, path, part):
        program, seen = None, set()
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                word = line.split()
                if line.startswith("== run "):
                    program, seen = word[2], set()
                    self.programs.append(program)
                elif line.startswith("== exit "):
                    if not seen:
                        what = {"0": "pass", "4": "skip"}.get(word[3], "fail")
                        self.tests[program, "(as a whole)"] = what
                    program = None
                elif line.startswith("== leaks "):
                    self.leaks[part] = int(word[2])
                elif line.startswith("== boot "):
                    self.boots[part] = int(word[2])
                elif line.startswith("kunit "):
                    m = KUNIT.match(line)
                    if m:
                        self.kunit[m.group(1)] = tuple(int(n) for n in m.groups()[1:])
                elif program:
                    m = RESULT.match(line)
                    if m:
                        what = "fail" if m.group(1) == "not ok" else \
                            "skip" if "# SKIP" in m.group(3) else "pass"
                        self.tests[program, m.group(2)] = what
                        seen.add(m.group(2))
        if program:
            self.tests[program, "(did not end)"] = "fail"

    def count(self, program):
        found = [what for (p, _), what in self.tests.items() if p == program]
        return ", ".join(f"{found.count(what)} {what}" for what in ("pass", "fail", "skip")
                         if found.count(what) or what == "pass")


def main():
    logs, kernels, parts = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
    runs = {}
    for kernel in kernels:
        runs[kernel] = Run()
        for part in parts:
            path = os.path.join(logs, f"selftest-{kernel}-{part}.out")
            if not (kernel == "stock" and part == "msi"):
                runs[kernel].read(path, part)
    programs = list(dict.fromkeys(p for r in runs.values() for p in r.programs))
    wide = max(len(p) for p in programs) + 2
    print(f"{'':{wide}}" + "".join(f"{k:28}" for k in kernels))
    for program in programs:
        print(f"{program:{wide}}" + "".join(
            f"{r.count(program) if program in r.programs else '-':28}" for r in runs.values()))
    bad = []
    for kernel, run in runs.items():
        for part, status in run.boots.items():
            if status:
                bad.append(f"{kernel}, {part}: the machine's exit status is {status}")
        for part, n in run.leaks.items():
            print(f"{kernel}, {part}: {'no kmemleak' if n < 0 else f'{n} leaks reported'}")
        for suite, (passed, failed, skipped) in run.kunit.items():
            print(f"{kernel}: KUnit {suite}: {passed} pass, {failed} fail, {skipped} skip")
            if failed:
                bad.append(f"{kernel}: KUnit {suite}")
        for (program, test), what in run.tests.items():
            if what == "fail":
                print(f"{kernel}: not ok {program} {test}")
    new = runs.get("doorbell")
    old = runs.get("stock")
    if new:
        for key, what in new.tests.items():
            before = old.tests.get(key) if old else None
            if what == "fail" and before != "fail" or what == "skip" and before == "pass":
                bad.append("worse with the series: " + " ".join(key))
        for part, n in new.leaks.items():
            if n > max(0, old.leaks.get(part, 0) if old else 0):
                bad.append(f"leaks with the series, {part}: {n}")
    for line in bad:
        print(line)
    return 1 if bad else 0


sys.exit(main())
