#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include of the project against the direction that folders may depend on each other in.

usage: check_includes.py SOURCE-TREE | --self-test
"""
import os
import re
import sys
import tempfile

# folder -> what it may include, beside itself and system headers. The longest matching folder counts.
MAY = {
    "format/schema": [],
    "format/base": [],
    "format/segment": ["format/schema", "format/base"],
    "format/index": ["format/schema", "format/base", "format/segment"],
    "query": ["format"],
    "replay": ["query", "format"],
    "bpf": ["format/schema"],
    "recorder": ["bpf", "format"],
    "tests": ["format", "query", "replay", "recorder", "bpf"],
    "samples": [],
}
# headers of libraries that only some folders may use
LIBRARIES = {r"bpf/(bpf|libbpf|btf)\.h": ["recorder", "tests"], r"(libelf|gelf)\.h": ["recorder"],
             r"curl/": ["recorder", "replay"]}
GENERATED = re.compile(r"\.skel\.h$")


def folder_of(path):
    best = ""
    for folder in MAY:
        if (path == folder or path.startswith(folder + "/")) and len(folder) > len(best):
            best = folder
    return best


def check(root):
    problems = []
    for top in sorted({folder.split("/")[0] for folder in MAY}):
        for base, _, files in os.walk(os.path.join(root, top)):
            for name in sorted(files):
                if not name.endswith((".c", ".h", ".def")):
                    continue
                path = os.path.relpath(os.path.join(base, name), root)
                here = folder_of(path)
                for number, line in enumerate(open(os.path.join(root, path), errors="replace"), 1):
                    found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
                    if not found:
                        continue
                    kind, target = found.groups()
                    where = "%s:%d" % (path, number)
                    for pattern, allowed in LIBRARIES.items():
                        if re.match(pattern, target) and kind == "<" and top not in allowed:
                            problems.append("%s: %s may not use <%s>" % (where, top, target))
                    if kind == "<" or GENERATED.search(target):
                        continue
                    beside = os.path.normpath(os.path.join(os.path.dirname(path), target))
                    full = beside if os.path.exists(os.path.join(root, beside)) else os.path.normpath(target)
                    there = folder_of(full)
                    if not there or there == here:
                        continue
                    if not any(there == may or there.startswith(may + "/") for may in MAY[here]):
                        problems.append("%s: %s may not include %s" % (where, here, full))
    return problems


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, text in {"format/base/a.h": "", "query/q.h": "", "format/base/bad.c": '#include "query/q.h"\n',
                           "query/good.c": '#include "format/base/a.h"\n#include <stdio.h>\n',
                           "replay/net.c": "#include <curl/curl.h>\n", "query/net.c": "#include <curl/curl.h>\n",
                           "recorder/r.c": '#include "query/q.h"\n'}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as file:
                file.write(text)
        problems = check(root)
        expected = ["format/base/bad.c:1", "query/net.c:1", "recorder/r.c:1"]
        if sorted(p.split(": ")[0] for p in problems) != expected:
            sys.exit("self-test: expected %s, found %s" % (expected, problems))


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    elif len(sys.argv) == 2:
        found = check(sys.argv[1])
        print("\n".join(found))
        sys.exit(1 if found else 0)
    else:
        sys.exit(__doc__)
