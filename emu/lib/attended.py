#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""attended.py COMMAND... : runs a command that is not to outlive who asked for it.

If our parent ends, even if it is killed, or we are interrupted, the command ends with all that it has
started: make passes a signal on to its children, but between these are shells, which do not."""

import ctypes
import os
import signal
import subprocess
import sys


def die_with_parent(how):
    """This process gets the signal when its parent ends, even if that is killed itself."""
    ctypes.CDLL(None).prctl(1, how)     # PR_SET_PDEATHSIG


def stop(*_):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, stop)
    die_with_parent(signal.SIGTERM)
    process = None
    try:
        process = subprocess.Popen(sys.argv[1:], start_new_session=True)
        return process.wait()
    except KeyboardInterrupt:
        if process:
            os.killpg(process.pid, signal.SIGKILL)
        return 128 + signal.SIGTERM


if __name__ == "__main__":
    sys.exit(main())
