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
    "format/facts": ["format/base"],
    "format/segment": ["format/schema", "format/base"],
    "format/index": ["format/schema", "format/base", "format/segment"],
    "format/library": ["format/schema", "format/base", "format/segment"],
    "query": ["format"],
    "replay": ["query", "format"],
    "bpf": ["format/schema"],
    "recorder": ["bpf", "format"],
    "tests": ["format", "query", "replay", "recorder", "bpf"],
    "samples": [],
}
# headers of libraries that only some folders may use
LIBRARIES = {r"bpf/(bpf|libbpf|btf)\.h": ["recorder", "tests"], r"(libelf|gelf)\.h": ["recorder"],
             r"curl/": ["recorder"]}
SKELETON = re.compile(r"\.skel\.h$")  # made from bpf/ by the build


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
                with open(os.path.join(root, path), errors="replace") as file:
                    lines = file.readlines()
                for number, line in enumerate(lines, 1):
                    found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
                    if not found:
                        continue
                    kind, target = found.groups()
                    where = "%s:%d" % (path, number)
                    ours = os.path.exists(os.path.join(root, target))
                    for pattern, allowed in LIBRARIES.items():
                        if re.match(pattern, target) and not ours and top not in allowed:
                            problems.append("%s: %s may not use <%s>" % (where, top, target))
                    if kind == "<" and not ours:
                        continue
                    if SKELETON.search(target):
                        target = "bpf/" + os.path.basename(target)
                    beside = os.path.normpath(os.path.join(os.path.dirname(path), target))
                    full = beside if os.path.exists(os.path.join(root, beside)) else os.path.normpath(target)
                    there = folder_of(full)
                    if not there or there == here:
                        continue
                    if not any(there == may or there.startswith(may + "/") for may in MAY[here]):
                        problems.append("%s: %s may not include %s" % (where, here, full))
    return problems


HEADERS = ["format/schema/s.h", "format/base/b.h", "format/segment/g.h", "format/index/i.h", "query/q.h", "replay/p.h",
           "bpf/wire.h", "recorder/r.h", "recorder/enrich/e.h"]
GOOD = [("format/segment", '"format/base/b.h"'), ("format/index", '"format/segment/g.h"'),
        ("query", '"format/index/i.h"'), ("query", '"q.h"'), ("replay", '"query/q.h"'),
        ("replay", '"../format/base/b.h"'), ("recorder", '"bpf/wire.h"'), ("recorder", '"aquila.skel.h"'),
        ("recorder", '"format/segment/g.h"'), ("recorder/enrich", "<curl/curl.h>"), ("recorder", "<bpf/libbpf.h>"),
        ("recorder/enrich", '"recorder/r.h"'), ("bpf", '"format/schema/s.h"'), ("tests/unit", '"recorder/r.h"'),
        ("query", "<stdio.h>")]
BAD = [("format/base", '"format/segment/g.h"'), ("format/base", '"query/q.h"'),
       ("format/schema", '"format/base/b.h"'), ("format/segment", '"format/index/i.h"'),
       ("format/index", '"bpf/wire.h"'), ("query", '"replay/p.h"'), ("query", '"../recorder/r.h"'),
       ("query", "<bpf/libbpf.h>"), ("query", "<curl/curl.h>"), ("replay", '"bpf/wire.h"'),
       ("replay", '"recorder/enrich/e.h"'), ("replay", "<curl/curl.h>"), ("replay", '"curl/curl.h"'),
       ("replay", "<libelf.h>"), ("recorder", '"query/q.h"'), ("recorder/enrich", '"replay/p.h"'),
       ("query", '"aquila.skel.h"'), ("replay", "<recorder/r.h>"), ("bpf", '"format/segment/g.h"'),
       ("bpf", '"recorder/r.h"')]


def write_tree(root, files):
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w") as file:
            file.write(text)


def self_test():
    with tempfile.TemporaryDirectory() as root:
        write_tree(root, {"%s%s.c" % (folder, name): '#include %s\n' % target
                          for name, cases in (("good", GOOD), ("bad", BAD))
                          for folder, target in ((c[0] + "/%d-" % i, c[1]) for i, c in enumerate(cases))})
        write_tree(root, dict.fromkeys(HEADERS, ""))
        found = sorted(problem.split(":")[0] for problem in check(root))
        expected = sorted("%s/%d-bad.c" % (folder, i) for i, (folder, _) in enumerate(BAD))
        if found != expected:
            sys.exit("self-test: expected %s, found %s" % (expected, found))


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    elif len(sys.argv) == 2:
        found = check(sys.argv[1])
        for problem in found:
            print(problem)
        sys.exit(1 if found else 0)
    else:
        sys.exit(__doc__)
