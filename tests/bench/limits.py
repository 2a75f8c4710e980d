#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the recorder holds at its limits; one line for each result, with what is wanted. Needs root and BPF.

  flood    two dd bs=1 on all cores, the recorder competing with them: how many events are lost
  stall    the recorder is stopped (SIGSTOP) under that flood while processes are started
  disk     the file system of the capture is frozen under that flood
  redis    requests a second of redis-benchmark with and without the recorder, alternating
  drain    CPU time of the recorder for an event, from the ring to the file
  memory   the recorder's largest resident size under the flood, default and small spool
  flat     cost for an event with ten times the processes, open files and cgroups
  strings  added cost of openat+close over an empty sys_exit program's, and of fork+exec+exit over nothing

Costs are CPU time; states alternate; medians. Times are shorter with --seconds, which is the length of a flood.
"""
import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
TICK = os.sysconf("SC_CLK_TCK")


def say(name, text, target, good):
    print("%-8s %s (wanted: %s) %s" % (name, text, target, "ok" if good else "MISSED"), flush=True)


def note(name, text):
    print("%-8s   %s" % (name, text), flush=True)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_bytes(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Recorder:
    """A running aquilad on a capture of its own."""

    def __init__(self, bench, extra=(), folder=None, cpu=None):
        bench.number += 1
        self.bench = bench
        self.capture = os.path.join(folder or bench.work, "c%d.aquila" % bench.number)
        self.log = os.path.join(bench.work, "c%d.log" % bench.number)
        command = [os.path.join(bench.bin, "aquilad"), "-o", self.capture, "--no-progress", *extra]
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid
        bench.processes.append(self.process)
        segment, deadline = os.path.join(self.capture, "segment-000001.aqs"), time.time() + 60
        while not os.path.exists(segment) or os.path.getsize(segment) < 4000: # the state is in it
            if self.process.poll() is not None or time.time() > deadline:
                sys.exit("the recorder did not start:\n" + self.said())
            time.sleep(0.05)
        while True: # until the state of all processes is written
            self.cpu_at_start = cpu_seconds(self.pid)
            time.sleep(0.5)
            if cpu_seconds(self.pid) - self.cpu_at_start < 0.05 or time.time() > deadline:
                break
        self.cpu_at_start = cpu_seconds(self.pid)

    def said(self):
        with open(self.log) as f:
            return f.read()

    def stop(self):
        """Ends it; afterwards .status, .cpu (after the start, the work after the end included) and .peak are there."""
        self.process.send_signal(signal.SIGINT)
        self.peak = self.cpu_now = 0
        deadline = time.time() + 300
        while True: # both are gone with the process
            try:
                self.peak = peak_bytes(self.pid) or self.peak
                self.cpu_now = cpu_seconds(self.pid)
            except (OSError, IndexError):
                pass
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                self.cpu_now = cpu_seconds(self.pid) # of the zombie
                break
            if time.time() > deadline:
                self.process.kill()
                sys.exit("the recorder does not end:\n" + self.said())
            time.sleep(0.002)
        self.status = self.process.wait()
        self.bench.processes.remove(self.process)
        self.cpu = self.cpu_now - self.cpu_at_start

    def aquila(self, *words):
        return subprocess.run([os.path.join(self.bench.bin, "aquila"), words[0], self.capture, *words[1:]],
                              capture_output=True, text=True)

    def info(self):
        return json.loads(self.aquila("info", "--format", "json").stdout)

    def classes(self):
        """{class: {produced, stored, lost, …}} of the ledger."""
        rows = {}
        for line in self.aquila("losses", "--format", "ndjson").stdout.splitlines():
            row = json.loads(line)
            if "class" in row:
                rows[row["class"]] = row
        return rows

    def balances(self):
        return "ledger balances: yes" in self.said() and self.aquila("verify").returncode in (0, 3)

    def remove(self):
        shutil.rmtree(self.capture, ignore_errors=True)


class Bench:
    def __init__(self, options, source, work):
        self.options = options
        self.bin = os.path.join(options.build, "bin")
        self.tools = os.path.join(options.build, "tests", "bench")
        self.source = source
        self.work = work
        self.number = 0
        self.processes = []
        self.undo = []

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        for command in reversed(self.undo):
            subprocess.run(command, stderr=subprocess.DEVNULL)

    def start(self, command, **more):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **more)
        self.processes.append(process)
        return process

    def start_flood(self):
        return [self.start(["dd", "if=/dev/zero", "of=/dev/null", "bs=1"], stdin=subprocess.DEVNULL)
                for _ in range(os.cpu_count())]

    def stop_all(self, processes):
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            self.processes.remove(process)

    def flood_for(self, recorder, seconds, meanwhile=None):
        flood = self.start_flood()
        start = time.time()
        if meanwhile:
            meanwhile()
        time.sleep(max(0, seconds - (time.time() - start)))
        self.stop_all(flood)
        recorder.stop()

    def flood(self):
        r = Recorder(self)
        self.flood_for(r, self.options.seconds)
        ledger = r.info()["ledger"]
        say("flood", "%d of %d events lost in %g s (%.2f million/s)" %
            (ledger["lost"], ledger["produced"], self.options.seconds, ledger["produced"] / self.options.seconds / 1e6),
            "0", ledger["lost"] == 0 and r.balances())
        note("flood", "degraded %d, exit status %d; %.0f ns CPU/event, peak %.0f MiB" %
             (ledger["degraded"], r.status, r.cpu * 1e9 / max(1, ledger["stored"]), r.peak / MIB))
        r.remove()

    def start_processes(self, count):
        for i in range(count):
            subprocess.run(["/bin/true", "meanwhile-%d" % i])

    def accounted(self, name, r, processes):
        rows = r.classes()
        ledger = r.info()["ledger"]
        vital, important = rows["vital"], rows["important"]
        found = int(r.aquila("query", "evt.type = proc_exec and proc.cmdline contains \"meanwhile-\"",
                             "--count").stdout.split()[0])
        whole = (vital["lost"] == 0 and important["lost"] == 0 and vital["text_lost"] == 0 and
                 important["text_lost"] == 0 and found == processes)
        sums = ledger["produced"] == ledger["stored"] + ledger["lost"] + ledger["policy"]
        say(name, "classes 0 and 1: %d events, %d lost, %d degraded; %d of %d execs; ledger balances: %s" %
            (vital["produced"] + important["produced"], vital["lost"] + important["lost"],
             vital["text_lost"] + important["text_lost"], found, processes, "yes" if sums and r.balances() else "no"),
            "none lost, balances", whole and sums and r.balances())
        note(name, "all: %d produced, %d lost (%.1f %%)" %
             (ledger["produced"], ledger["lost"], 100 * ledger["lost"] / max(1, ledger["produced"])))
        return ledger

    def stall(self):
        r = Recorder(self)

        def meanwhile():
            time.sleep(1)
            r.process.send_signal(signal.SIGSTOP)
            start = time.time()
            self.start_processes(200)
            note("stall", "200 processes started in %.1f s" % (time.time() - start))
            time.sleep(max(0, 5 - (time.time() - start)))
            r.process.send_signal(signal.SIGCONT)

        self.flood_for(r, 8, meanwhile)
        self.accounted("stall", r, 200)
        r.remove()

    def disk(self):
        image, folder = os.path.join(self.work, "image"), os.path.join(self.work, "mounted")
        os.mkdir(folder)
        subprocess.run(["truncate", "-s", "1G", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)
        self.undo.append(["umount", folder])
        r = Recorder(self, folder=folder)

        def meanwhile():
            time.sleep(1)
            self.undo.append(["fsfreeze", "-u", folder])
            subprocess.run(["fsfreeze", "-f", folder], check=True)
            start = time.time()
            self.start_processes(200)
            time.sleep(max(0, 5 - (time.time() - start)))
            subprocess.run(["fsfreeze", "-u", folder], check=True)
            self.undo.pop()

        self.flood_for(r, 8, meanwhile)
        self.accounted("disk", r, 200)
        r.remove()
        subprocess.run(["umount", folder], check=True)
        self.undo.pop()

    def redis(self):
        port = "16389"
        server = self.start(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                            stdout=subprocess.DEVNULL)
        time.sleep(0.5)

        def requests():
            out = subprocess.run(["redis-benchmark", "-p", port, "-t", "set,get", "-n", str(self.options.requests), "-c",
                                  "50", "-P", "1", "--csv"], capture_output=True, text=True, check=True).stdout
            return {f[0].strip('"'): float(f[1].strip('"')) for f in (line.split(",") for line in out.splitlines())
                    if f[0].strip('"') in ("SET", "GET")}

        requests()
        without, recorded, lost, cost = [], [], 0, []
        for _ in range(self.options.rounds):
            without.append(requests())
            r = Recorder(self)
            recorded.append(requests())
            r.stop()
            info = r.info()
            lost += info["ledger"]["lost"]
            cost.append(r.cpu * 1e9 / max(1, info["ledger"]["stored"]))
            r.remove()
        self.stop_all([server])
        for what in ("SET", "GET"):
            a = statistics.median(x[what] for x in without)
            b = statistics.median(x[what] for x in recorded)
            say("redis", "%s %.0f/s, recorded %.0f/s: %.1f %% fewer" % (what, a, b, 100 * (1 - b / a)), "at most 10 %",
                b >= 0.9 * a)
        note("redis", "lost %d; recorder %.0f ns CPU/event" % (lost, statistics.median(cost)))

    def drain(self):
        costs = []
        for _ in range(3):
            r = Recorder(self)
            self.flood_for(r, min(10, self.options.seconds))
            costs.append(r.cpu * 1e9 / r.info()["ledger"]["stored"])
            tail = [line for line in r.said().splitlines() if line.startswith("CPU:")]
            note("drain", tail[0] if tail else "")
            r.remove()
        say("drain", "%.0f ns CPU/event from ring to file, user and system (%.0f … %.0f)" %
            (statistics.median(costs), min(costs), max(costs)), "at most 200", statistics.median(costs) <= 200)

    def memory(self):
        def calls(r):
            self.start_processes(100)
            r.process.send_signal(signal.SIGSTOP) # so that everything that can be full is full
            time.sleep(1)
            r.process.send_signal(signal.SIGCONT)

        def texts(r):
            loops = [self.start([os.path.join(self.tools, "call_loop"), "names", "-1", "100000000"],
                                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) for _ in range(2)]
            for loop in loops:
                loop.stdin.write("\n")
                loop.stdin.flush()
            time.sleep(min(10, self.options.seconds))
            self.stop_all(loops)

        for name, extra, meanwhile in (("default", (), calls), ("--spool 16M", ("--spool", "16M"), calls),
                                       ("--spool 16M, texts that all differ", ("--spool", "16M"), texts)):
            r = Recorder(self, extra)
            if meanwhile is texts:
                texts(r)
                r.stop()
            else:
                self.flood_for(r, min(10, self.options.seconds), lambda: calls(r))
            policy = json.loads(r.info()["policy_json"])
            bound = policy["ring_bytes"] + policy["spool_bytes"] + 64 * MIB
            say("memory", "%s: peak %.1f MiB with rings of %.0f and a spool of %.0f MiB" %
                (name, r.peak / MIB, policy["ring_bytes"] / MIB, policy["spool_bytes"] / MIB),
                "at most %.0f MiB" % (bound / MIB), r.peak <= bound)
            r.remove()

    def flat(self):
        root = None
        for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            if os.path.exists(os.path.join(folder, "cgroup.procs")) and os.path.exists(
                    os.path.join(folder, "cgroup.controllers")):
                root = folder
        hook, cost = {1: [], 10: []}, {1: [], 10: []}
        for _ in range(self.options.rounds):
            for times in (1, 10):
                folders = []
                for i in range(20 * times if root else 0):
                    folders.append(os.path.join(root, "aquila-bench-%d" % i))
                    os.mkdir(folders[-1])
                    self.undo.append(["rmdir", folders[-1]])
                loop = self.start([os.path.join(self.tools, "call_loop"), "mix", "0", str(self.options.calls), str(50 * times),
                                   str(100 * times), *folders], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                self.ask(loop)
                quiet = min(self.ask(loop) for _ in range(3))
                r = Recorder(self, cpu=1)
                hook[times].append(min(self.ask(loop) for _ in range(3)) - quiet)
                r.stop()
                cost[times].append(r.cpu * 1e9 / r.info()["ledger"]["stored"])
                r.remove()
                loop.stdin.close()
                loop.wait()
                self.processes.remove(loop)
                time.sleep(0.5)
                for folder in folders:
                    os.rmdir(folder)
                    self.undo.pop()
        for name, values in (("traced", hook), ("recorder", cost)):
            one, ten = statistics.median(values[1]), statistics.median(values[10])
            say("flat", "%s: %.0f ns, with ten times of all %.0f ns: %+.1f %%" % (name, one, ten, 100 * (ten / one - 1)),
                "at most +20 %", ten <= 1.2 * one)

    def ask(self, loop):
        loop.stdin.write("\n")
        loop.stdin.flush()
        return float(loop.stdout.readline())

    def strings(self):
        calls = {"open": 100000, "exec": 300}
        samples = {kind: {"nothing": [], "empty": [], "aquila": []} for kind in calls}
        loops = {kind: self.start([os.path.join(self.tools, "call_loop"), kind, "0", str(n)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True) for kind, n in calls.items()}

        def sample(state):
            for kind, loop in loops.items():
                samples[kind][state].append(min(self.ask(loop) for _ in range(5)))

        for loop in loops.values():
            self.ask(loop)
        for _ in range(self.options.rounds):
            sample("nothing")
            empty = self.start([os.path.join(self.tools, "attach_empty"), os.path.join(self.tools, "attach_empty.bpf.o")],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            empty.stdout.readline()
            sample("empty")
            empty.stdin.close()
            empty.wait()
            self.processes.remove(empty)
            r = Recorder(self, cpu=1)
            sample("aquila")
            r.stop()
            r.remove()
        for loop in loops.values():
            loop.stdin.close()
            loop.wait()
            self.processes.remove(loop)
        m = {kind: {s: statistics.median(v) for s, v in states.items()} for kind, states in samples.items()}
        floor, added = m["open"]["empty"] - m["open"]["nothing"], m["open"]["aquila"] - m["open"]["nothing"]
        say("strings", "openat+close: adds %.0f ns, an empty program %.0f ns: %.2fx" % (added, floor, added / floor),
            "at most 6x", added <= 6 * floor)
        whole = 100 * (m["exec"]["aquila"] / m["exec"]["nothing"] - 1)
        say("strings", "fork+exec+exit: %.1f us, recorded %.1f us: %+.1f %%" %
            (m["exec"]["nothing"] / 1e3, m["exec"]["aquila"] / 1e3, whole), "at most +10 %", whole <= 10)


def main():
    which = ("flood", "stall", "disk", "redis", "drain", "memory", "flat", "strings")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", default=list(which), help="which of them (default: all)")
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--build", default=os.path.join(source, "build"), help="build folder (default: build)")
    parser.add_argument("--seconds", type=float, default=60, help="length of a flood")
    parser.add_argument("--rounds", type=int, default=5, help="alternations")
    parser.add_argument("--requests", type=int, default=200000, help="of redis-benchmark, of each kind")
    parser.add_argument("--calls", type=int, default=500, help="rounds of the mix that each process makes in a sample of flat")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the benchmark records: it needs root")
    for name in options.which:
        if name not in which:
            sys.exit("no benchmark '%s'" % name)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    work = tempfile.mkdtemp(prefix="aquila-limits-")
    bench = Bench(options, source, work)
    failed = 0
    try:
        for name in options.which:
            try:
                getattr(bench, name)()
            except (OSError, KeyError, ValueError, IndexError, subprocess.CalledProcessError) as e:
                failed += 1
                print("%-8s could not be measured: %s: %s" % (name, type(e).__name__, e), flush=True)
                bench.end()
                bench.processes, bench.undo = [], []
    finally:
        bench.end()
        shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
