#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an initramfs (cpio, newc): files, programs with the shared libraries that they need, and device nodes, all
owned by root, without being root. What a program needs is read from it with readelf, so that programs of another
machine can be packed as well.

usage: make_initramfs.py OUT [--lib-dir DIR]… [--file HOST=GUEST]… [--program HOST=GUEST]…
"""
import argparse
import os
import re
import stat
import subprocess
import sys

DEVICES = (("console", 5, 1), ("null", 1, 3), ("zero", 1, 5))
FOLDERS = ("bin", "dev", "proc", "sys", "tmp", "run", "etc", "root")


class Cpio:
    def __init__(self, out):
        self.out = out
        self.inode = 0
        self.names = set()

    def put(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        self.names.add(name)
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(encoded), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        for part in (head, data):
            self.out.write(part + b"\0" * (-len(part) % 4))

    def folder(self, name):
        if name and name not in self.names:
            self.folder(os.path.dirname(name))
            self.put(name, stat.S_IFDIR | 0o755)

    def file(self, name, host):
        name = name.lstrip("/")
        if name in self.names:
            return
        self.folder(os.path.dirname(name))
        with open(host, "rb") as f:
            self.put(name, stat.S_IFREG | (0o755 if os.access(host, os.X_OK) else 0o644), f.read())


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], check=True, capture_output=True, text=True).stdout


def find_library(name, folders):
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return os.path.realpath(path)
    sys.exit("make_initramfs.py: '%s' is in none of the library folders" % name)


def put_program(cpio, host, guest, folders):
    """The program, its loader where the program looks for it, its libraries in /lib."""
    cpio.file(guest, host)
    loader = re.search(r"program interpreter: (\S+)\]", readelf("-l", host))
    if loader:
        cpio.file(loader[1], find_library(os.path.basename(loader[1]), folders))
    todo, seen = [host], set()
    while todo:
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("-d", todo.pop())):
            if name not in seen:
                seen.add(name)
                path = find_library(name, folders)
                cpio.file("lib/" + name, path)
                todo.append(path)


def pairs(values):
    for value in values:
        host, separator, guest = value.rpartition("=")
        if not separator:
            sys.exit("make_initramfs.py: '%s' is not HOST=GUEST" % value)
        yield host, guest


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    for option in ("--lib-dir", "--file", "--program"):
        parser.add_argument(option, action="append", default=[])
    options = parser.parse_args()
    with open(options.out + ".new", "wb") as out:
        cpio = Cpio(out)
        for name in FOLDERS:
            cpio.folder(name)
        for name, major, minor in DEVICES:
            cpio.put("dev/" + name, stat.S_IFCHR | 0o666, device=(major, minor))
        for host, guest in pairs(options.file):
            cpio.file(guest, host)
        for host, guest in pairs(options.program):
            put_program(cpio, host, guest, options.lib_dir)
        cpio.put("TRAILER!!!", 0)
    os.replace(options.out + ".new", options.out)


main()
