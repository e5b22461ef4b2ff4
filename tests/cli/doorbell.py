# SPDX-License-Identifier: BSD-2-Clause
"""Running the doorbell command on generated machines, and reporting what was checked as TAP."""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, expected {wanted!r}")


class Result:
    """What one run of the command gave."""

    def __init__(self, command, process):
        self.command = command
        self.status = process.returncode
        self.stderr = process.stderr
        self.stdout = process.stdout

    def json(self):
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise Failure(f"stdout is not JSON: {self.stdout[:200]!r}; stderr: {self.stderr[:400]!r}") from None

    def good(self):
        check(self.status == 0, f"exit {self.status}: {self.stderr[:600]}")
        return self.json()

    def refused(self, code, *words):
        """A failure that names its reason: the error's name in the JSON, and these words in the sentence."""
        equal(self.status, 1, "exit status")
        report = self.json()
        check("error" in report, "no error in the JSON")
        sentence = report["error"]["message"]
        equal(report["error"]["code"], code, f"error ({sentence})")
        for word in words:
            check(word in sentence, f"{word!r} is not in: {sentence}")
        check(sentence in self.stderr, "stderr does not have the sentence")
        return report


class Doorbell:
    def __init__(self, path):
        self.path = path
        self.directory = tempfile.TemporaryDirectory(prefix="doorbell-test-")
        self.files = 0

    def file(self, content, name="machine"):
        self.files += 1
        path = os.path.join(self.directory.name, f"{self.files}-{name}")
        with open(path, "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
        return path

    def call(self, *arguments):
        command = [self.path, *arguments]
        process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        check(process.returncode >= 0, f"killed by signal {-process.returncode}: {process.stderr[-2000:]}")
        check("Sanitizer" not in process.stderr, process.stderr[-3000:])
        return Result(command, process)

    def run(self, machine, *arguments):
        options = ["--machine", self.file(machine)] if machine is not None else []
        return self.call("run", "--json", *options, *arguments)


def main(cases):
    """Runs (name, function of a Doorbell) pairs, two at a time, and prints TAP. The command's path is argv[1]."""
    command = Doorbell(sys.argv[1])
    if len(sys.argv) > 2:
        cases = [case for case in cases if sys.argv[2] in case[0]]
    print(f"1..{len(cases)}")
    failed = 0

    def one(case):
        try:
            case[1](command)
        except Failure as failure:
            return str(failure)
        except subprocess.TimeoutExpired:
            return "timed out"
        return None

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for number, (case, why) in enumerate(zip(cases, pool.map(one, cases)), 1):
            if why is None:
                print(f"ok {number} - {case[0]}")
            else:
                failed += 1
                print(f"not ok {number} - {case[0]}")
                print("\n".join("# " + line for line in why.splitlines()))
            sys.stdout.flush()
    return 1 if failed else 0
