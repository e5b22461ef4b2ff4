# SPDX-License-Identifier: BSD-2-Clause
"""Operator-level mutants: every place in the code where an operator could have been another one, and what to put there."""
import os
import random
import re

ROOMS = ("src/lib", "src/arm", "src/soft")

# Of each room, the suites that are about it, and then those that use it.
SUITES = {"src/lib": ("lib", "vsmmu", "trust", "guest", "cli"), "src/arm": ("arm", "oracle", "vsmmu", "soft", "guest"),
          "src/soft": ("soft", "lib", "guest", "trust", "cli")}

# Blanks belong to it: they tell a binary operator from a pointer's star or a sign.
OPERATORS = {" == ": (" != ",), " != ": (" == ",), " < ": (" <= ", " > "), " <= ": (" < ",), " > ": (" >= ", " < "), " >= ": (" > ",),
             " && ": (" || ",), " || ": (" && ",), " + ": (" - ",), " - ": (" + ",), " << ": (" >> ",), " >> ": (" << ",),
             " & ": (" | ",), " | ": (" & ",), " += ": (" -= ",), " -= ": (" += ",), " |= ": (" &= ",), " &= ": (" |= ",),
             " % ": (" / ",), " - 1": ("",), " + 1": ("",), "++": ("--",), "--": ("++",), "(!": ("(",),
             "true": ("false",), "false": ("true",), "return 0;": ("return 1;",), "break;": (";",), "continue;": (";",)}
PATTERN = re.compile("|".join(rf"\b{re.escape(op)}\b" if op.isalpha() else re.escape(op)
                              for op in sorted(OPERATORS, key=len, reverse=True)))
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)


def code_only(text):
    """Of the same length, with blanks in place of comments, strings and directives."""
    return NOT_CODE.sub(lambda found: re.sub(r"[^\n]", "\0", found.group()), text)


def sites():
    """(file, offset, operator) of all of them, in an order that depends on the files alone."""
    found = []
    for room in ROOMS:
        for folder, folders, names in os.walk(room):
            folders.sort()
            for name in sorted(names):
                if not name.endswith((".c", ".h")):
                    continue
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as source:
                    code = code_only(source.read())
                found += [(path, match.start(), match.group()) for match in PATTERN.finditer(code)]
    return found


def random_mutants(seed):
    """One after the other, none twice, as (name, file, offset, old, new)."""
    choice = random.Random(seed)
    places = sites()
    choice.shuffle(places)
    for path, offset, old in places:
        new = choice.choice(OPERATORS[old])
        with open(path, encoding="utf-8") as source:
            line = source.read().count("\n", 0, offset) + 1
        yield f"{path}:{line}: {old.strip()} becomes {new.strip() or 'nothing'}", path, offset, old, new


def suites(path):
    return next(names for room, names in SUITES.items() if path.startswith(room + "/"))
