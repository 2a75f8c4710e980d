# SPDX-License-Identifier: Apache-2.0
"""What a server can do wrong, by name: play() does it to one request of the API server's stand-in."""
import functools
import gzip
import json
import random
import time

MIB = 1 << 20
POD = {"metadata": {"name": "n", "uid": "u", "namespace": "x"}, "spec": {}, "status": {}}


def head(handler, status=200, length=None, *more):
    """A head of an answer that nobody made by json and len."""
    handler.close_connection = True
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    for name, value in more + ((("Content-Length", str(length)),) if length is not None else ()):
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.flush()


def write(handler, part, times=1):
    for _ in range(times):
        handler.wfile.write(part)
    handler.wfile.flush()


def types(handler, watch):
    lies = [1, "x", None, [], {"metadata": []}, {"metadata": {"name": {}, "uid": 3}},
            {"metadata": {"name": "n", "uid": "lies", "labels": 1, "annotations": [], "ownerReferences": {"a": 1}}, "spec": 5,
             "status": {"podIPs": 1, "containerStatuses": {"x": 1}}},
            {"metadata": {"name": "n", "uid": "lies", "labels": {"a": {}}, "ownerReferences": [1, {"kind": [], "name": {}}],
                          "creationTimestamp": {}}, "spec": {"nodeName": 7, "hostNetwork": "no"},
             "status": {"podIP": {}, "podIPs": [{"ip": 1}, 2], "phase": [], "containerStatuses":
                        [3, None, {"name": 1, "containerID": 2, "image": {}, "restartCount": "many", "state": []}]}}]
    if not watch:
        return handler.answer(200, {"kind": "PodList", "metadata": {"resourceVersion": 7, "continue": []}, "items": lies})
    head(handler)
    for lie in lies:
        write(handler, json.dumps({"type": "ADDED", "object": lie}).encode() + b"\n")
    write(handler, b'{"type":7,"object":{}}\n[]\n')


def huge(handler, watch, _fault):
    head(handler)
    write(handler, b'{"type":"ADDED","object":{"metadata":{"name":"' if watch else b'{"kind":"PodList","items":[{"metadata":{"name":"')
    write(handler, b"A" * MIB, 200)


def many(handler, watch, _fault):
    """200 MB of small objects, each of them in order."""
    one = json.dumps({"type": "ADDED", "object": POD} if watch else POD).encode() + (b"\n" if watch else b",\n")
    head(handler)
    if not watch:
        write(handler, b'{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[')
    write(handler, one * (MIB // len(one)), 200)


@functools.lru_cache
def packed(start, byte):
    return gzip.compress(start + byte * (200 * MIB), 1)


def bomb(handler, _watch, fault):
    """A gzip of 200 MB of the same, less than 1 MB on the wire."""
    body = packed(b"", b"[") if fault == "deepbomb" else packed(b'{"kind":"PodList","items":[', b" ")
    head(handler, 200, len(body), ("Content-Encoding", "gzip"))
    write(handler, body)


def deep(handler, watch, _fault):
    nest = b"[" * 100000 + b"]" * 100000
    if watch:
        head(handler)
        write(handler, b'{"type":"ADDED","object":' + nest + b"}\n")
    else:
        handler.answer(200, b'{"kind":"PodList","items":[' + nest + b"]}")


def wide(handler, watch, _fault):
    """One object of a million values, within the size of one."""
    values = b'{"metadata":{"name":"n","x":[' + b"1," * 1000000 + b"1]}}"
    if watch:
        head(handler)
        write(handler, b'{"type":"ADDED","object":' + values + b"}\n")
    else:
        handler.answer(200, b'{"kind":"PodList","items":[' + values + b"]}")


def cut(handler, watch, _fault):
    """Right so far, and then nothing: closed at any byte, with and without a length that was promised."""
    pods = [dict(POD, metadata=dict(POD["metadata"], uid="cut-%d" % i)) for i in range(50)]
    if watch:
        body = b"".join(json.dumps({"type": "ADDED", "object": pod}).encode() + b"\n" for pod in pods)
    else:
        body = json.dumps({"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": pods}).encode()
    head(handler, 200, random.choice((None, len(body))))
    write(handler, body[:random.randrange(len(body))])


def headers(handler, _watch, fault):
    """Heads without an end: 200 MB of them, or a line every 100 ms."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while fault == "headers" or fault in handler.server.store.fault.values():
        handler.wfile.write(b"X-%08d: %s\r\n" % (random.getrandbits(26), b"A" * 1000))
        handler.wfile.flush()
        time.sleep(0 if fault == "headers" else 0.1)


def endless(handler, _watch, fault):
    """Says little or nothing, and doesn't stop."""
    handler.close_connection = True
    if fault != "mute":
        head(handler)
        write(handler, b'{"kind":"PodList","items":[{"metadata":{"name":"')
    while fault in handler.server.store.fault.values():
        time.sleep(0.1)
        if fault == "slow":
            write(handler, b"a")


def pages(handler, watch, _fault):
    """There is always one more page."""
    if watch:
        return handler.refuse(500, "fault")
    handler.answer(200, {"kind": "PodList", "metadata": {"resourceVersion": "1", "continue": "more"},
                         "items": [dict(POD, metadata=dict(POD["metadata"], uid="page-%d" % random.getrandbits(60)))]})


def flood(handler, watch, _fault):
    """A watch that says the same as fast as it can."""
    if not watch:
        return False
    head(handler)
    line = json.dumps({"type": "MODIFIED", "object": dict(POD, metadata=dict(POD["metadata"], resourceVersion="5"))}).encode() + b"\n"
    while "flood" in handler.server.store.fault.values():
        write(handler, line * 1000)
    return True


PLAYS = {"huge": huge, "many": many, "bomb": bomb, "deepbomb": bomb, "deep": deep, "wide": wide, "cut": cut, "headers": headers,
         "headerdrip": headers, "hang": endless, "slow": endless, "mute": endless, "pages": pages}


def play(handler, fault, query):
    """Does what the fault says; False: answer as usual. NAME-watch is done to watches only, expire to pages after the first."""
    watch = query.get("watch") in ("1", "true")
    name, _, only = fault.partition("-")
    if (only == "watch" and not watch) or fault == "drop" or (fault == "expire" and "continue" not in query):
        return False
    if name in ("500", "403", "503"):
        handler.refuse(int(name), "fault")
    elif name == "429":
        handler.refuse(429, "TooManyRequests", [("Retry-After", "1")])
    elif name in ("410", "expire"):
        handler.refuse(410, "Gone")
    elif name == "redirect":
        handler.answer(302, b"", [("Location", handler.server.store.elsewhere + handler.path)])
    elif name == "html":
        handler.answer(200, b"<html>not what you asked for</html>")
    elif name == "error":  # 200 MB that nobody wants to read
        head(handler, 500)
        write(handler, b"A" * MIB, 200)
    elif name == "types":
        types(handler, watch)
    elif name == "flood":
        return flood(handler, watch, fault)
    elif name in PLAYS:
        try:
            PLAYS[name](handler, watch, fault)
        except OSError:
            pass  # who was asked for nonsense may hang up
    else:  # close: a beginning, and the end of the connection
        head(handler)
        write(handler, b'{"kind":"PodList","items":[{"metadata":{"name":"')
    return True
