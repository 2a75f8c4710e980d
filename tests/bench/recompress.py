#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What recompression makes of the captures of a busy and of an idle host. Needs root and BPF.

The same loop of short commands is recorded twice: as fast as it goes, and slowed down to about 100 events/s, so that every
chunk holds one second. Bytes per event of both, as they were recorded and after `aquila recompress`, without the snapshot.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile


def info(build, capture):
    out = subprocess.run([os.path.join(build, "bin", "aquila"), "info", "--format", "json", capture], capture_output=True, text=True)
    return json.loads(out.stdout)


def size(capture):
    return sum(os.path.getsize(os.path.join(capture, f)) for f in os.listdir(capture) if f.endswith(".aqs"))


def record(build, capture, script):
    subprocess.run([os.path.join(build, "bin", "aquilad"), "-o", capture, "--no-progress", "--no-snapshot", "-q", "--",
                    "sh", "-c", script], check=True, stdin=subprocess.DEVNULL)
    events = info(build, capture)["events"]
    small = capture + ".small"
    subprocess.run([os.path.join(build, "bin", "aquila"), "recompress", capture, "-o", small, "-q"], check=True)
    return events, size(capture) / events, size(small) / events


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--build", default=os.path.join(here, "..", "..", "build"), help="build folder (default: build)")
    parser.add_argument("--seconds", type=int, default=60, help="length of the idle recording")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the benchmark records: it needs root")
    work = tempfile.mkdtemp(prefix="aquila-bench-")
    step = "cat /etc/hosts >/dev/null;"  # about a hundred events
    try:
        rows = [("busy", record(options.build, os.path.join(work, "busy.aquila"),
                                "i=0; while [ $i -lt 2000 ]; do %s i=$((i+1)); done" % step)),
                ("idle", record(options.build, os.path.join(work, "idle.aquila"),
                                "i=0; while [ $i -lt %d ]; do %s sleep 1; i=$((i+1)); done" % (options.seconds, step)))]
    finally:
        shutil.rmtree(work)
    for name, (events, recorded, small) in rows:
        print("%s  %8d events  %6.2f bytes/event recorded  %6.2f recompressed" % (name, events, recorded, small))
    print("idle over busy after recompression: %.2fx" % (rows[1][1][2] / rows[0][1][2]))


if __name__ == "__main__":
    main()
