#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""boot.py --timeout S --log FILE [--verbose] -- QEMU ARGS... : boots the machine and watches it.

The test's output goes to standard output as it comes, the kernel's log to FILE (and with --verbose
to standard error). Exit status: the test's own, or one of those below."""

import argparse
import os
import re
import selectors
import signal
import subprocess
import sys
import time

from attended import die_with_parent

EXIT_TIMEOUT = 124
EXIT_NO_RESULT = 125
EXIT_KERNEL_COMPLAINED = 126

START_OF_OUTPUT = b"\nemu-start-of-output\n"
KERNEL_LINE = re.compile(r"\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? (.*)")
# What no run may leave in the kernel's log: faults, warnings, lockdep's and the debug options'
# reports, and KUnit tests that failed.
COMPLAINT = re.compile(r"\bBUG\b|\bWARNING\b|\bOops\b|Kernel panic|Unable to handle kernel"
                       r"|INFO: (?:task|rcu|possible|inconsistent|trying)|\bODEBUG\b|\bUBSAN\b"
                       r"|\bnot ok \d")
STAGES = ((re.compile(r"EFI stub: Booting|Booting Linux on physical CPU"), "kernel"),
          (re.compile(r"emu-init: start "), "test"),
          (re.compile(r"emu-init: exit "), "power-off"))
TAIL = 30


def say(text):
    print(f"emu: {text}", file=sys.stderr, flush=True)


class Watch:
    """What the two serial ports have said so far."""

    def __init__(self, log, verbose):
        self.log, self.verbose = log, verbose
        self.started = time.monotonic()
        self.stage, self.times = "firmware", {"firmware": 0.0}
        self.partial = b""
        self.tail, self.complaints = [], []
        self.status = None
        self.output_begun, self.before_output = False, b""

    def elapsed(self):
        return time.monotonic() - self.started

    def enter(self, stage):
        if stage not in self.times:
            self.stage, self.times[stage] = stage, self.elapsed()

    def durations(self):
        names = list(self.times)
        ends = [self.times[n] for n in names[1:]] + [self.elapsed()]
        return ", ".join(f"{n} {end - self.times[n]:.1f} s" for n, end in zip(names, ends))

    def console(self, data):
        *lines, self.partial = (self.partial + data).split(b"\n")
        for raw in lines:
            self.line(raw.decode(errors="replace").rstrip("\r"))

    def line(self, line):
        self.log.write(line + "\n")
        if self.verbose:
            print(line, file=sys.stderr, flush=True)
        self.tail = (self.tail + [line])[-TAIL:]
        for pattern, stage in STAGES:
            if pattern.search(line):
                self.enter(stage)
        kernel = KERNEL_LINE.match(line)
        if not kernel:
            return
        if COMPLAINT.search(kernel.group(1)):
            self.complaints.append(line)
        status = re.fullmatch(r"emu-init: exit (\d+)", kernel.group(1))
        if status:
            self.status = int(status.group(1))

    def output(self, data):
        if not self.output_begun:
            self.before_output += data
            before, mark, data = self.before_output.partition(START_OF_OUTPUT)
            if not mark:
                return
            self.output_begun = True
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def show_tail(self):
        self.log.flush()
        say(f"the last lines of the kernel log ({self.log.name}):")
        for line in self.tail:
            print(f"    {line}", file=sys.stderr)


def watch(qemu, timeout, state):
    """Runs QEMU until it ends (True) or time is up (False)."""
    log_read, log_write = os.pipe()
    out_read, out_write = os.pipe()
    argv = qemu + ["-chardev", f"file,id=log,path=/dev/fd/{log_write}", "-serial", "chardev:log",
                   "-chardev", f"file,id=out,path=/dev/fd/{out_write}", "-serial", "chardev:out"]
    proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=(log_write, out_write),
                            start_new_session=True,
                            preexec_fn=lambda: die_with_parent(signal.SIGKILL))
    os.close(log_write)
    os.close(out_write)
    try:
        with selectors.DefaultSelector() as ports:
            ports.register(log_read, selectors.EVENT_READ, state.console)
            ports.register(out_read, selectors.EVENT_READ, state.output)
            while ports.get_map():
                left = timeout - state.elapsed()
                if left <= 0:
                    return False
                for port, _ in ports.select(left):
                    data = os.read(port.fd, 65536)
                    if data:
                        port.data(data)
                    else:
                        ports.unregister(port.fd)
        return True
    finally:
        # Also when we are interrupted: nothing is left running. A QEMU that closed its ports has
        # a moment to end by itself.
        try:
            proc.wait(0 if sys.exc_info()[0] or state.elapsed() >= timeout else 10)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()


def verdict(ended, timeout, state):
    if not ended:
        say(f"TIMEOUT after {timeout:.0f} s, in the stage: {state.stage}")
        state.show_tail()
        return EXIT_TIMEOUT
    if state.status is None:
        say(f"the machine stopped in the stage: {state.stage}; the test has not ended")
        state.show_tail()
        return EXIT_NO_RESULT
    if state.complaints:
        say(f"the kernel complained ({state.log.name}):")
        for line in state.complaints[:TAIL]:
            print(f"    {line}", file=sys.stderr)
        return state.status or EXIT_KERNEL_COMPLAINED
    return state.status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("qemu", nargs="+")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    die_with_parent(signal.SIGTERM)
    with open(args.log, "w", encoding="utf-8") as log:
        state = Watch(log, args.verbose)
        ended = watch(args.qemu, args.timeout, state)
        status = verdict(ended, args.timeout, state)
    say(f"exit {status} after {state.elapsed():.1f} s ({state.durations()})")
    return status


try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(128 + signal.SIGINT)
