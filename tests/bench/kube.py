#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory of the Kubernetes client: 5,000 pods in a list, then 50 changes a second.

usage: kube.py BUILD-FOLDER [SECONDS]   prints the share of a core for the list and for the changes, and the peak memory

As root, where BPF can be used, a recording follows with as many pods and changes: whether the first query of it knows the
name of a pod whose container began and ended while the recorder was still busy with the list, and how long it took.
"""
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PODS, RATE = 5000, 50


def cpu_s(pid):
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def group_of(number):
    """A container's cgroup as a kubelet makes it; None: none can be made here."""
    with open("/proc/mounts") as file:
        mounts = [line.split() for line in file]
    for folder in [m[1] for m in mounts if m[2] == "cgroup2"] + [m[1] for m in mounts if m[2] == "cgroup" and "pids" in m[3]]:
        path = "%s/kubepods.slice/kubepods-burstable.slice/cri-containerd-%064x.scope" % (folder, number)
        try:
            os.makedirs(path)
            return path
        except OSError:
            continue
    return None


def first_query(build, change, seconds=5):
    number = 4321
    group = group_of(number)
    if os.geteuid() != 0 or group is None or subprocess.run([build + "/bin/aquilad", "--probe"], stdout=subprocess.DEVNULL).returncode:
        return "no recording: it needs root, BPF and a cgroup"
    script = "sh -c 'echo $$ >%s/cgroup.procs && cat /etc/hostname' >/dev/null; sleep %d" % (group, seconds)
    recorder = subprocess.Popen([build + "/bin/aquilad", "-q", "-o", "cap.aquila", "--kubeconfig", "config", "--node-name", "node-1",
                                 "--runtime-state", "none", "--", "sh", "-c", script])
    while recorder.poll() is None:
        change()
        time.sleep(0.2)
    for _ in range(3):
        try:
            os.rmdir(group)  # one that somebody else uses stays
        except OSError:
            break
        group = os.path.dirname(group)
    begun = time.monotonic()
    said = subprocess.run([build + "/bin/aquila", "query", "cap.aquila", "evt.type = openat and fd.name endswith hostname", "--fields",
                           "k8s.ns.name,k8s.pod.name,k8s.node.name"], capture_output=True, text=True).stdout.strip()
    return "first query, %.0f ms: %s" % (1000 * (time.monotonic() - begun), said)


def main():
    build, seconds = os.path.abspath(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout k -out c -days 2 "
                       "-subj /CN=t -addext subjectAltName=IP:127.0.0.1", shell=True, check=True, stderr=subprocess.DEVNULL)
        server = subprocess.Popen([SOURCE + "/tests/kube/server.py", "--cert", "c", "--key", "k", "--client-ca", "c",
                                   "--token", "t", "--ports", "ports"])
        while not os.path.exists("ports"):
            time.sleep(0.1)
        api, control = open("ports").read().split()

        def ask(path):
            urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:%s%s" % (control, path), method="POST")).read()
        ask("/fill/%d" % PODS)
        with open("config", "w") as file:
            file.write("current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: "
                       "{server: 'https://127.0.0.1:%s', certificate-authority: c}}]\nusers: [{name: u, user: {token: t}}]\n" % api)
        with open("facts", "w") as facts:
            client = subprocess.Popen([build + "/tests/bin/kube_facts", "--kubeconfig", "config", "--time"],
                                      stdin=subprocess.PIPE, stdout=facts, stderr=subprocess.PIPE, text=True)
        begun = time.monotonic()
        while sum(line.startswith("pod:uid") for line in open("facts")) < PODS:
            time.sleep(0.2)
        listed, list_cpu = time.monotonic() - begun, cpu_s(client.pid)
        time.sleep(1)
        before, start, turn = cpu_s(client.pid), time.monotonic(), 0

        def change():
            nonlocal turn
            ask("/touch/%d/%d/%d" % (turn * RATE // 5 % PODS, RATE // 5, turn))
            turn += 1
        while time.monotonic() - start < seconds:
            change()
            time.sleep(max(0, start + turn / 5 - time.monotonic()))
        elapsed, used = time.monotonic() - start, cpu_s(client.pid) - before
        said, changes = client.communicate()[1].strip(), turn * RATE / 5
        queried = first_query(build, change)
        server.kill()
        server.wait()
        print("list of %d pods: %.1f s, %.2f s of processor time" % (PODS, listed, list_cpu))
        print("%.0f changes/s for %.0f s: %.2f %% of a core" % (changes / elapsed, elapsed, 100 * used / elapsed))
        print(said)
        print(queried)


if __name__ == "__main__":
    main()
