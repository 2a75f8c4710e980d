#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures of the whole recorder, as ratios measured in one run. Needs root and BPF.

  hook   what a syscall without strings costs the traced process, over an empty sys_exit program
  dd     whether a one-byte dd flood on one core is recorded without loss by a recorder on the other
  mixed  bytes per event of the mixed workload (workload.sh)

CPU time is taken, not wall time; states alternate; medians are shown with their spread.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time


class Bench:
    def __init__(self, build, source, work):
        self.bin = os.path.join(build, "bin")
        self.tools = os.path.join(build, "tests", "bench")
        self.source = source
        self.work = work
        self.number = 0

    def capture(self):
        self.number += 1
        return os.path.join(self.work, "c%d.aquila" % self.number)

    def recorder(self, capture, cpu=None, extra=()):
        command = [os.path.join(self.bin, "aquilad"), "-o", capture, "--no-progress", *extra]
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        log = open(capture + ".log", "w")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.time() + 30
        while not os.path.exists(os.path.join(capture, "segment-000001.aqs")):
            if process.poll() is not None or time.time() > deadline:
                sys.exit("the recorder did not start:\n" + open(capture + ".log").read())
            time.sleep(0.05)
        time.sleep(1.0)
        return process

    def stop(self, process):
        process.send_signal(signal.SIGINT)
        return process.wait(timeout=120)

    def losses(self, capture):
        out = subprocess.run([os.path.join(self.bin, "aquila"), "info", "--format", "json", capture],
                             capture_output=True, text=True)
        return json.loads(out.stdout)

    def hook(self, rounds, calls):
        loop = subprocess.Popen([os.path.join(self.tools, "syscall_loop"), "0", str(calls)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def sample():
            values = []
            for _ in range(5):
                loop.stdin.write("\n")
                loop.stdin.flush()
                values.append(float(loop.stdout.readline()))
            return min(values)

        states = {"nothing": [], "empty": [], "aquila": []}
        for _ in range(rounds):
            states["nothing"].append(sample())
            empty = subprocess.Popen([os.path.join(self.tools, "attach_empty"),
                                      os.path.join(self.tools, "attach_empty.bpf.o")],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            empty.stdout.readline()
            states["empty"].append(sample())
            empty.stdin.close()
            empty.wait()
            capture = self.capture()
            recorder = self.recorder(capture, cpu=1)
            states["aquila"].append(sample())
            self.stop(recorder)
            shutil.rmtree(capture)
        loop.stdin.close()
        loop.wait()
        median = {k: statistics.median(v) for k, v in states.items()}
        for k, v in states.items():
            print("hook   %-8s %7.1f ns per getppid (%.1f … %.1f)" % (k, median[k], min(v), max(v)))
        floor = median["empty"] - median["nothing"]
        added = median["aquila"] - median["nothing"]
        print("hook   added cost: %.2fx an empty sys_exit program (%.1f over %.1f ns)" % (added / floor, added, floor))

    def dd(self, count):
        capture = self.capture()
        recorder = self.recorder(capture, cpu=1)
        start = time.time()
        subprocess.run(["taskset", "-c", "0", "dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=%d" % count],
                       stderr=subprocess.DEVNULL, check=True)
        seconds = time.time() - start
        status = self.stop(recorder)
        with open(capture + ".log") as log:
            print("dd     recorder's summary:")
            print("".join("         " + line for line in log), end="")
        size = sum(os.path.getsize(os.path.join(capture, f)) for f in os.listdir(capture) if f.endswith(".aqs"))
        print("dd     %d calls in %.1f s (%.2f M/s), exit status %d, %.1f MB" %
              (2 * count, seconds, 2 * count / seconds / 1e6, status, size / 1e6))
        shutil.rmtree(capture)

    def mixed(self, scale):
        capture = self.capture()
        command = [os.path.join(self.bin, "aquilad"), "-o", capture, "--no-progress", "--",
                   os.path.join(self.source, "tests", "bench", "workload.sh"), self.source, str(scale)]
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        print("mixed  recorder's summary:")
        print("".join("         " + line + "\n" for line in run.stderr.splitlines()), end="")
        info = self.losses(capture)
        size = sum(os.path.getsize(os.path.join(capture, f)) for f in os.listdir(capture) if f.endswith(".aqs"))
        print("mixed  %.2f bytes/event (%d events, %.1f MB)" % (size / info["events"], info["events"], size / 1e6))
        shutil.rmtree(capture)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", default=["hook", "dd", "mixed"], help="hook, dd, mixed (default: all)")
    here = os.path.dirname(os.path.abspath(__file__))
    source = os.path.dirname(os.path.dirname(here))
    parser.add_argument("--build", default=os.path.join(source, "build"), help="build folder (default: build)")
    parser.add_argument("--rounds", type=int, default=5, help="alternations of the hook measurement")
    parser.add_argument("--calls", type=int, default=1000000, help="calls per sample of the hook measurement")
    parser.add_argument("--count", type=int, default=10000000, help="blocks that dd copies")
    parser.add_argument("--scale", type=int, default=2, help="rounds of the mixed workload")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the benchmark records: it needs root")
    work = tempfile.mkdtemp(prefix="aquila-bench-")
    try:
        bench = Bench(options.build, source, work)
        for which in options.which:
            if which == "hook":
                bench.hook(options.rounds, options.calls)
            elif which == "dd":
                bench.dd(options.count)
            elif which == "mixed":
                bench.mixed(options.scale)
            else:
                sys.exit("no benchmark '%s'" % which)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
