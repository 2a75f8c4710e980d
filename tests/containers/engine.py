#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A container engine's API on a unix socket, as honest or as bad as it is told to be.

usage: engine.py SOCKET CONTROL

CONTROL is a fifo of lines:  fault NAME | event ACTION ID NAME | add ID NAME | drop ID | restart | most
What is asked is noted in CONTROL.log, a line for each request.
"""
import json
import os
import random
import socket
import sys
import threading
import time

MIB = 1 << 20
PATH, CONTROL = sys.argv[1:]
state = {"fault": "none", "containers": {}, "events": [], "ends": 0, "looks": 0, "most": 0}
lock = threading.Condition()
log = open(CONTROL + ".log", "a", buffering=1)


def chunk(sock, data):
    sock.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def head(sock, status=200, length=None):
    kind = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    sock.sendall(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%s\r\n\r\n" % (status, kind))


def answer(sock, status, document):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    head(sock, status, len(body))
    sock.sendall(body)


def container(ident, name, whole):
    made = {"Id": ident, "Created": "2026-01-01T00:00:00Z" if whole else 1767225600}
    if whole:
        made.update(Name="/" + name, State={"Status": "running", "StartedAt": "2026-01-01T00:00:01Z"}, Image="sha256:" + "ab" * 32,
                    Config={"Image": "img:1", "Env": ["SECRET=hidden"], "Labels": {"whole": "yes"}},
                    NetworkSettings={"Networks": {"bridge": {"IPAddress": "172.17.0.9"}}})
    else:
        made.update(Names=["/" + name], State="running", Image="img:1")
    return made


def events(sock):
    head(sock)
    with lock:
        at = 0
        ends = state["ends"]
        while state["fault"] == "none" and state["ends"] == ends:
            while at < len(state["events"]):
                chunk(sock, json.dumps(state["events"][at]).encode() + b"\n")
                at += 1
            lock.wait(0.2)
    sock.sendall(b"0\r\n\r\n")


def honest(sock, path):
    with lock:
        containers = dict(state["containers"])
    if path == "/version":
        answer(sock, 200, {"Version": "1", "ApiVersion": "1.41", "Components": [{"Name": "Engine"}]})
    elif path.startswith("/events"):
        events(sock)
    elif path.startswith("/containers/json"):
        answer(sock, 200, [container(i, n, False) for i, n in containers.items()])
    elif path.startswith("/images/"):
        answer(sock, 200, {"RepoDigests": ["img@sha256:" + "cd" * 32]})
    else:
        ident = path.split("/")[2]
        with lock:
            state["looks"] += 1
            state["most"] = max(state["most"], state["looks"])
        if len(containers) > 100: # so many are looked at for a while
            time.sleep(0.02)
        with lock:
            state["looks"] -= 1
        if ident in containers:
            answer(sock, 200, container(ident, containers[ident], True))
        else:
            answer(sock, 404, {"message": "no such container"})


LIES = [1, "x", None, [], {"Id": []}, {"Id": "lies", "Names": {"a": 1}, "Labels": [1], "State": 7, "Created": "soon", "Mounts": "m",
        "NetworkSettings": [], "Image": {}}, {"Id": "../../images/x", "Names": ["/up"]}, {"Id": "a\nb", "Names": ["/nl"]},
        {"Id": "lies2", "Names": [None, "/a/b"], "State": {"Status": []}, "Config": 5, "Created": -1e300}]


def wicked(sock, path, fault):  # pylint: disable=too-many-branches,too-many-statements
    """Does one of the things that an engine shouldn't do; NAME-later: only after /version has been answered."""
    name, _, only = fault.partition("-")
    if only == "later" and path == "/version" or only == "events" and not path.startswith("/events"):
        return honest(sock, path)
    stream = path.startswith("/events")
    if name == "close":
        head(sock)
        return chunk(sock, b'[{"Id":"')
    if name == "hang":
        while state["fault"] == fault:
            time.sleep(0.1)
    elif name == "slow":
        head(sock)
        while state["fault"] == fault:
            chunk(sock, b"[")
            time.sleep(0.2)
    elif name in ("500", "401"):
        answer(sock, int(name), b"A" * 1000)
    elif name == "redirect":
        sock.sendall(b"HTTP/1.1 302 X\r\nLocation: http://localhost/stolen\r\nContent-Length: 0\r\n\r\n")
    elif name == "html":
        answer(sock, 200, b"<html>not what you asked for</html>")
    elif name == "headers":
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        while state["fault"] == fault:
            sock.sendall(b"X-%08d: %s\r\n" % (random.getrandbits(26), b"A" * 1000))
    elif name == "huge":
        head(sock)
        chunk(sock, b'{"Action":"create","id":"' if stream else b'[{"Id":"')
        for _ in range(200):
            chunk(sock, b"A" * MIB)
    elif name == "many":
        head(sock)
        one = json.dumps({"Action": "create", "id": "same"} if stream else {"Id": "same", "Names": ["/same"]}).encode()
        if not stream:
            chunk(sock, b"[")
        for _ in range(200):
            chunk(sock, (one + (b"\n" if stream else b",")) * (MIB // len(one)))
    elif name == "deep":
        nest = b"[" * 100000 + b"]" * 100000
        answer(sock, 200, nest + b"\n" if stream else b'[{"Id":' + nest + b"}]" if "/json?" in path else b'{"Version":"1","x":' + nest + b"}")
    elif name == "wide":
        answer(sock, 200, (b'{"id":"x","Action":"create","x":[' if stream else b'[{"Id":"x","x":[') + b"1," * 450000 + b"1]}" + (b"\n" if stream else b"]"))
    elif name == "types":
        if stream:
            head(sock)
            for lie in LIES + [{"Action": 7}, {"Action": "create", "id": []}, {"Action": "die", "id": "x", "Actor": 7, "timeNano": "x"}]:
                chunk(sock, json.dumps(lie).encode() + b"\n")
            time.sleep(1)
        else:
            answer(sock, 200, LIES if "/json?" in path else random.choice(LIES) if path != "/version" else {"Version": "1", "Components": 3})
    elif name == "cut":
        body = json.dumps([container("cut%d" % i, "n", False) for i in range(50)]).encode()
        head(sock, 200, len(body))
        sock.sendall(body[:random.randrange(len(body))])
    elif name == "flood":
        head(sock)
        while state["fault"] == fault:
            chunk(sock, b"".join(json.dumps({"Action": "start", "id": "%064x" % random.getrandbits(255), "from": "img", "time": 1767225600,
                                             "Actor": {"Attributes": {"name": "n"}}}).encode() + b"\n" for _ in range(1000)))
    else:
        return honest(sock, path)
    return None


def serve(sock):
    data = b""
    try:
        while True:
            while b"\r\n\r\n" not in data:
                more = sock.recv(65536)
                if not more:
                    return
                data += more
            request, _, data = data.partition(b"\r\n\r\n")
            line = request.split(b"\r\n")[0].decode("latin1")
            log.write(line + "\n")
            fault = state["fault"]
            if fault == "none":
                honest(sock, line.split()[1])
            else:
                wicked(sock, line.split()[1], fault)
                return
    except OSError:
        pass  # who was asked for nonsense may hang up
    finally:
        sock.close()


def listen():
    if os.path.exists(PATH):
        os.unlink(PATH)
    server = socket.socket(socket.AF_UNIX)
    server.bind(PATH)
    server.listen(64)
    return server


def accept(server):
    while True:
        try:
            sock, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(sock,), daemon=True).start()


def obey(words):
    with lock:
        if words[0] == "fault":
            state["fault"] = words[1]
        elif words[0] == "add":
            state["containers"][words[1]] = words[2]
        elif words[0] == "drop":
            state["containers"].pop(words[1], None)
        elif words[0] == "event":
            now = time.time_ns()
            state["events"].append({"Type": "container", "Action": words[1], "Actor": {"ID": words[2], "Attributes": {
                "name": words[3], "image": "img:1", "label": "x"}}, "time": now // 10**9, "timeNano": now})
        elif words[0] == "most":
            with open(CONTROL + ".most", "w") as most:
                most.write("at most %d looks at a time\n" % state["most"])
        elif words[0] == "restart":
            state["ends"] += 1
        lock.notify_all()


def main():
    threading.Thread(target=accept, args=(listen(),), daemon=True).start()
    while True:
        with open(CONTROL) as control:
            for line in control:
                if line.strip() == "leave":
                    return
                obey(line.split())


main()
