#!/usr/bin/env python3
"""Print the files that match patterns relative to this directory, sorted, one a line, for meson.build."""
import glob
import os
import sys

os.chdir(os.path.dirname(os.path.abspath(__file__)))
for pattern in sys.argv[1:]:
    for path in sorted(glob.glob(pattern)):
        print(path)
