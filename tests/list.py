#!/usr/bin/env python3
"""Lists for meson.build, one file a line, relative to this directory.

list.py PATTERN...        the files that match, sorted
list.py --support FILE... the doubles that a test needs: support/x.c for every support/x.h that it includes, also by another one
"""
import glob
import os
import re
import sys


def support(path, found):
    with open(path, encoding="utf-8") as file:
        names = re.findall(r'#include "(?:\S*/)?(\w+)\.h"', file.read())
    for name in names:
        for part in ("support/%s.h" % name, "support/%s.c" % name):
            if os.path.exists(part) and part not in found:
                found.append(part)
                support(part, found)


os.chdir(os.path.dirname(os.path.abspath(__file__)))
if sys.argv[1] == "--support":
    needed = []
    for path in sys.argv[2:]:
        support(path, needed)
    print("\n".join(part for part in needed if part.endswith(".c")))
else:
    for pattern in sys.argv[1:]:
        print("\n".join(sorted(glob.glob(pattern))))
