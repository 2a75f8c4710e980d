#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An API server for tests: discovery, lists in pages, watches with bookmarks, tokens that expire, and faults on demand.

usage: server.py --cert FILE --key FILE --client-ca FILE --token TOKEN --ports FILE [--bookmark SECONDS]
                 [--listen ADDRESS]… [--roles FILE]

With --roles only what the ClusterRole in that file allows is answered, all else is 403. Writes the ports of the API (TLS) and of the control (plain HTTP, loopback) into --ports. Control:
  PUT /KIND/NAMESPACE/NAME (an object as JSON), DELETE the same, POST /fault/NAME[/KIND] (none ends it), POST /token/NEW,
  POST /forget (all versions so far are gone: 410), POST /fill/N (N pods), POST /touch/FIRST/N/TEXT (a change to each),
  GET /requests (what was asked so far), GET /log (likewise, each with time, address, who asked and what was answered),
  GET /unused (rules of --roles that nothing was asked by)
Anything else that is asked of the control stands in the log as "stolen". Faults are in faults.py.
"""
import argparse
import copy
import gzip
import http.server
import json
import os
import random
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse

sys.dont_write_bytecode = True
import faults  # noqa: E402

KINDS = {"pods": ("Pod", "v1", True), "namespaces": ("Namespace", "v1", False), "services": ("Service", "v1", True),
         "replicasets": ("ReplicaSet", "apps/v1", True), "jobs": ("Job", "batch/v1", True)}
# there is nothing of these kinds; a client is told that they exist
NAMED = {"serviceaccounts": ("ServiceAccount", "v1", True), "daemonsets": ("DaemonSet", "apps/v1", True),
         "clusterroles": ("ClusterRole", "rbac.authorization.k8s.io/v1", False),
         "clusterrolebindings": ("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", False)}
PREFIX = {"rbac.authorization.k8s.io/v1": "/apis/rbac.authorization.k8s.io/v1",
          "v1": "/api/v1", "apps/v1": "/apis/apps/v1", "batch/v1": "/apis/batch/v1"}


def stamp(seconds=None):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def make_pod(number, node="node-1", namespace="default"):
    name = "web-6c5d8f7b9c-%05d" % number
    return {"metadata": {"name": name, "namespace": namespace, "uid": "uid-%05d" % number, "creationTimestamp": stamp(),
                         "labels": {"app": "web", "pod-template-hash": "6c5d8f7b9c"},
                         "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6c5d8f7b9c",
                                              "uid": "rs-1", "controller": True}]},
            "spec": {"nodeName": node, "serviceAccountName": "web",
                     "containers": [{"name": "main", "image": "registry.example/web:1.%d" % (number % 10),
                                     "env": [{"name": "SECRET", "value": "x" * 64}] * 8}]},
            "status": {"phase": "Running", "startTime": stamp(), "podIP": "10.%d.%d.%d" % (1 + number // 62500,
                                                                                       number // 250 % 250, number % 250 + 1),
                       "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0, "started": True,
                                              "image": "registry.example/web:1.0",
                                              "imageID": "registry.example/web@sha256:%064x" % number,
                                              "containerID": "containerd://%064x" % number,
                                              "state": {"running": {"startedAt": stamp()}}}]}}


def read_roles(path):
    """(group, resource, verb) of every rule of the ClusterRole, which is written in one-line lists."""
    with open(path) as file:
        role = [part for part in file.read().split("\n---\n") if "\nkind: ClusterRole\n" in part][0]
    rules = set()
    for rule in role.split("\nrules:\n")[1].split("- apiGroups:")[1:]:
        groups, resources, verbs = ([word.strip().strip('"') for word in found.split(",")] for found in re.findall(r"\[(.*?)\]", rule))
        rules |= {(group, resource, verb) for group in groups for resource in resources for verb in verbs}
    return rules


class Store:
    def __init__(self, args):
        self.lock = threading.Condition()
        self.version = 1000
        self.oldest = 0
        self.objects = {kind: {} for kind in KINDS}
        self.log = []  # (version, kind, type, object)
        self.tokens = {args.token}
        self.fault = {}
        self.requests = []
        self.seen = []
        self.elsewhere = ""
        self.rules = read_roles(args.roles) if args.roles else None
        self.used = set()
        self.pages = {}

    def put(self, kind, namespace, name, value):
        with self.lock:
            self.version += 1
            meta = value.setdefault("metadata", {})
            meta["name"] = name
            if KINDS[kind][2]:
                meta["namespace"] = namespace
            meta["resourceVersion"] = str(self.version)
            meta.setdefault("uid", "%s-%s-%s" % (kind, namespace, name))
            meta.setdefault("creationTimestamp", stamp())
            value = dict({"kind": KINDS[kind][0], "apiVersion": KINDS[kind][1]}, **value)
            what = "MODIFIED" if (namespace, name) in self.objects[kind] else "ADDED"
            self.objects[kind][(namespace, name)] = value
            self.log.append((self.version, kind, what, value))
            self.lock.notify_all()

    def delete(self, kind, namespace, name):
        with self.lock:
            value = self.objects[kind].pop((namespace, name), None)
            if value:
                self.version += 1
                value = copy.deepcopy(value)
                value["metadata"]["resourceVersion"] = str(self.version)
                self.log.append((self.version, kind, "DELETED", value))
                self.lock.notify_all()


def selected(value, query):
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, wanted = term.replace("==", "=").partition("=")
        at = value
        for part in key.split("."):
            at = at.get(part, "") if isinstance(at, dict) else ""
        if at != wanted:
            return False
    return True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def note(self, status, **more):
        """A line of the log. Tokens are not told, only whose they are."""
        kind = "certificate" if self.request.getpeercert() else "token" if "Authorization" in self.headers else "nobody"
        with self.server.store.lock:
            self.server.store.seen.append(dict(more, time=time.monotonic(), path=self.path, status=status, who=kind,
                                               from_address=self.client_address[0], accept=self.headers.get("Accept", "")))

    def answer(self, status, value, headers=()):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        packed = "gzip" in self.headers.get("Accept-Encoding", "") and len(body) > 1000
        self.note(status, gzip=packed)
        if packed:
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, code, reason, headers=()):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason,
                           "reason": reason, "code": code}, headers)

    def allowed(self):
        if self.request.getpeercert():
            return True
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and token in self.server.store.tokens

    def may(self, kind, name, query):
        rules = self.server.store.rules
        verb = "get" if name else "watch" if query.get("watch") in ("1", "true") else "list"
        key = (KINDS[kind][1].rpartition("/")[0], kind, verb)
        if rules is None or key in rules:
            self.server.store.used.add(key)
            return True
        return False

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        store = self.server.store
        if not self.allowed():
            return self.refuse(401, "Unauthorized")
        path = url.path.rstrip("/")
        if path == "/version":
            return self.answer(200, {"major": "1", "minor": "20", "gitVersion": "v1.20.2"})
        if path == "/api":
            return self.answer(200, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        if path == "/apis":
            groups = [{"name": g, "versions": [{"groupVersion": g + "/v1", "version": "v1"}],
                       "preferredVersion": {"groupVersion": g + "/v1", "version": "v1"}} for g in ("apps", "batch", "rbac.authorization.k8s.io")]
            return self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        for version, prefix in PREFIX.items():
            if path == prefix:
                return self.answer(200, {"kind": "APIResourceList", "groupVersion": version, "resources": [
                    {"name": kind, "singularName": row[0].lower(), "namespaced": row[2], "kind": row[0],
                     "verbs": ["get", "list", "watch"]} for kind, row in {**KINDS, **NAMED}.items() if row[1] == version]})
        if path == "/pods":  # as the kubelet has it
            path = "/api/v1/pods"
        for kind, (_, version, _) in KINDS.items():
            prefix = PREFIX[version]
            if path.startswith(prefix + "/"):
                parts = path[len(prefix) + 1:].split("/")
                namespace = None
                if parts[0] == "namespaces" and len(parts) > 2:
                    namespace, parts = parts[1], parts[2:]
                if parts[0] == kind and len(parts) <= 2:
                    with store.lock:
                        store.requests.append(self.path)
                    return self.resource(kind, namespace, parts[1] if len(parts) == 2 else None, query)
        return self.refuse(404, "NotFound")

    def resource(self, kind, namespace, name, query):
        store = self.server.store
        fault = store.fault.get(kind) or store.fault.get("all")
        if fault:
            if faults.play(self, fault, query):
                return None
        if not self.may(kind, name, query):
            return self.refuse(403, "Forbidden")
        if name is not None:
            value = store.objects[kind].get((namespace or name, name)) or store.objects[kind].get(("", name))
            return self.answer(200, value) if value else self.refuse(404, "NotFound")
        if query.get("watch") in ("1", "true"):
            return self.watch(kind, namespace, query)
        return self.list(kind, namespace, query)

    def list(self, kind, namespace, query):
        store = self.server.store
        with store.lock:
            if "continue" in query:
                page = store.pages.pop(query["continue"], None)
                if page is None:
                    return self.refuse(410, "Expired")
                version, values = page
            else:
                version = store.version
                values = [value for (where, _), value in sorted(store.objects[kind].items())
                          if namespace in (None, where) and selected(value, query)]
            meta = {"resourceVersion": str(version)}
            limit = int(query.get("limit") or 0)
            if limit and len(values) > limit:
                meta["continue"] = "page/%d+=" % random.getrandbits(60)
                meta["remainingItemCount"] = len(values) - limit
                store.pages[meta["continue"]] = (version, values[limit:])
                values = values[:limit]
        row = KINDS[kind]
        bare = [{k: v for k, v in value.items() if k not in ("kind", "apiVersion")} for value in values]
        return self.answer(200, {"kind": row[0] + "List", "apiVersion": row[1], "metadata": meta, "items": bare})

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, what, value):
        self.chunk(json.dumps({"type": what, "object": value}).encode() + b"\n")

    def watch(self, kind, namespace, query):
        store = self.server.store
        since = int(query.get("resourceVersion") or 0)
        end = time.monotonic() + float(query.get("timeoutSeconds") or 300)
        self.send_response(200)
        self.note(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        bookmark = time.monotonic() + self.server.bookmark
        seen = 0
        while time.monotonic() < end:
            with store.lock:
                if since < store.oldest:
                    self.event("ERROR", {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410,
                                         "reason": "Expired", "message": "too old resource version"})
                    break
                if seen == len(store.log):
                    store.lock.wait(0.2)
                new, seen = store.log[seen:], len(store.log)
            if store.fault.get(kind) == "drop":
                self.close_connection = True
                return None
            for version, its, what, value in new:
                if its == kind and version > since and namespace in (None, value["metadata"].get("namespace")) and \
                        selected(value, query):
                    self.event(what, value)
            since = max(since, new[-1][0]) if new else since
            if query.get("allowWatchBookmarks") == "true" and time.monotonic() > bookmark:
                bookmark = time.monotonic() + self.server.bookmark
                self.event("BOOKMARK", {"kind": KINDS[kind][0], "apiVersion": KINDS[kind][1],
                                        "metadata": {"resourceVersion": str(max(since, store.oldest)), "creationTimestamp": None}})
        self.wfile.write(b"0\r\n\r\n")
        return None


class Control(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        store = self.server.store
        if self.path == "/requests":
            return self.reply(store.requests)
        if self.path == "/unused":
            return self.reply(sorted((store.rules or set()) - store.used))
        if self.path != "/log":
            store.seen.append({"stolen": self.path, "authorization": "Authorization" in self.headers, "time": time.monotonic()})
        return self.reply(store.seen)

    def do_PUT(self):
        _, kind, namespace, name = self.path.split("/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.store.put(kind, namespace, name, json.loads(body))
        self.reply({})

    def do_DELETE(self):
        _, kind, namespace, name = self.path.split("/")
        self.server.store.delete(kind, namespace, name)
        self.reply({})

    def do_POST(self):
        store = self.server.store
        words = self.path.split("/")[1:]
        if words[0] == "fault":
            store.fault = {} if words[1] == "none" else {(words[2] if len(words) > 2 else "all"): words[1]}
        elif words[0] == "token":
            store.tokens = {words[1]}
        elif words[0] == "fill":
            for number in range(int(words[1])):
                pod = make_pod(number)
                store.put("pods", "default", pod["metadata"]["name"], pod)
        elif words[0] == "touch":  # a change to each of N pods from FIRST on
            for number in range(int(words[1]), int(words[1]) + int(words[2])):
                pod = make_pod(number)
                pod["metadata"]["labels"]["turn"] = words[3]
                store.put("pods", "default", pod["metadata"]["name"], pod)
        elif words[0] == "forget":
            with store.lock:
                store.version += 1
                store.oldest = store.version
                store.log.clear()
                store.lock.notify_all()
        self.reply({})


class TlsServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        # the handshake belongs to the connection's own thread: one that never comes must not stop the others
        request.settimeout(10)
        try:
            request = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        request.settimeout(None)
        try:
            self.RequestHandlerClass(request, client_address, self)
        except OSError:
            pass
        finally:
            try:
                request.close()
            except OSError:
                pass


def main():
    parser = argparse.ArgumentParser()
    for name in ("cert", "key", "client-ca", "token", "ports"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--bookmark", type=float, default=1)
    parser.add_argument("--listen", action="append")
    parser.add_argument("--roles")
    args = parser.parse_args()
    store = Store(args)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.cert, args.key)
    context.load_verify_locations(args.client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    port = 0
    for address in args.listen or ["127.0.0.1"]:  # the same port of each
        TlsServer.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        api = TlsServer((address, port), Handler)
        port = api.server_port
        api.context, api.store, api.bookmark = context, store, args.bookmark
        threading.Thread(target=api.serve_forever, daemon=True).start()
    control = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Control)
    control.daemon_threads, control.store = True, store
    store.elsewhere = "http://127.0.0.1:%d" % control.server_port
    with open(args.ports + ".new", "w") as file:
        file.write("%d %d\n" % (port, control.server_port))
    os.rename(args.ports + ".new", args.ports)
    control.serve_forever()


if __name__ == "__main__":
    main()
