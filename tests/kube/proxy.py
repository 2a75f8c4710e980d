#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small proxy for tests: HTTP (CONNECT and whole addresses) and SOCKS5 on one port of 127.0.0.1.

usage: proxy.py --port-file FILE --log FILE [--user NAME:PASSWORD] [--host NAME=ADDRESS]…

Each request is a line of the log: what was asked for, then all that stood in its head. What follows goes through unread.
With --user an HTTP request without these credentials is refused with 407.
"""
import argparse
import base64
import os
import socket
import socketserver
import threading
import urllib.parse


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Handler(socketserver.BaseRequestHandler):
    def log(self, *words):
        with self.server.lock, open(self.server.options.log, "a") as file:
            file.write(" ".join(words) + "\n")

    def reach(self, host, port):
        return socket.create_connection((self.server.hosts.get(host, host), port), 10)

    def both_ways(self, other):
        back = threading.Thread(target=pump, args=(other, self.request), daemon=True)
        back.start()
        pump(self.request, other)
        back.join()
        other.close()

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.request.recv(count - len(data))
            if not part:
                raise OSError("closed")
            data += part
        return data

    def socks(self):
        self.exactly(self.exactly(1)[0])
        self.request.sendall(b"\x05\x00")
        _, _, _, kind = self.exactly(4)
        if kind == 3:
            host = self.exactly(self.exactly(1)[0]).decode()
        else:
            host = socket.inet_ntop(socket.AF_INET6 if kind == 4 else socket.AF_INET, self.exactly(16 if kind == 4 else 4))
        port = int.from_bytes(self.exactly(2), "big")
        self.log("SOCKS5", "%s:%d" % (host, port))
        other = self.reach(host, port)
        self.request.sendall(b"\x05\x00\x00\x01" + bytes(6))
        self.both_ways(other)

    def http(self, head):
        while b"\r\n\r\n" not in head:
            part = self.request.recv(1)  # not a byte of what follows
            if not part:
                return
            head += part
        lines = head.decode("latin-1").split("\r\n")
        self.log(" | ".join(filter(None, lines)))
        wanted = self.server.options.user
        if wanted and "proxy-authorization: basic " + base64.b64encode(wanted.encode()).decode() not in [
                line[:27].lower() + line[27:] for line in lines]:
            self.request.sendall(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
            return
        method, target, _ = lines[0].split(" ", 2)
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            other = self.reach(host.strip("[]"), int(port))
            self.request.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
        else:
            url = urllib.parse.urlsplit(target)
            other = self.reach(url.hostname, url.port or 80)
            path = url.path + ("?" + url.query if url.query else "")
            other.sendall(" ".join((method, path, "HTTP/1.0")).encode() + b"\r\n" + head.split(b"\r\n", 1)[1])
        self.both_ways(other)

    def handle(self):
        try:
            first = self.exactly(1)
            if first == b"\x05":
                self.socks()
            else:
                self.http(first)
        except (OSError, ValueError):
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--user")
    parser.add_argument("--host", action="append", default=[])
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Handler)
    server.options, server.lock = options, threading.Lock()
    server.hosts = dict(name.split("=", 1) for name in options.host)
    with open(options.port_file + ".new", "w") as file:
        file.write("%d\n" % server.server_address[1])
    os.rename(options.port_file + ".new", options.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
