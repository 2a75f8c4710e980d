#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory of the Kubernetes client: 5,000 pods in a list, then 50 changes a second.

usage: kube.py BUILD-FOLDER [SECONDS]   prints the share of a core for the list and for the changes, and the peak memory
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
        while time.monotonic() - start < seconds:
            ask("/touch/%d/%d/%d" % (turn * RATE // 5 % PODS, RATE // 5, turn))
            turn += 1
            time.sleep(max(0, start + turn / 5 - time.monotonic()))
        elapsed, used = time.monotonic() - start, cpu_s(client.pid) - before
        said = client.communicate()[1].strip()
        server.kill()
        server.wait()
        print("list of %d pods: %.1f s, %.2f s of processor time" % (PODS, listed, list_cpu))
        print("%.0f changes/s for %.0f s: %.2f %% of a core" % (turn * RATE / 5 / elapsed, elapsed, 100 * used / elapsed))
        print(said)


if __name__ == "__main__":
    main()
