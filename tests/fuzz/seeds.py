#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the seeds of fuzz_chunk, fuzz_dictionary, fuzz_column and fuzz_index out of a capture's first segment.

usage: seeds.py SEGMENT CORPUS-FOLDER [NAME]

With NAME only a seed of fuzz_segment, the whole file, and one of fuzz_chunk, its first chunk without attributes.
"""
import os
import struct
import subprocess
import sys


def unpack(data):
    return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True).stdout


def blocks(data):
    at = 0
    while at + 80 <= len(data) and data[at:at + 4] == b"AQB1":
        kind, _, size = struct.unpack_from("<HHQ", data, at + 4)
        yield kind, data[at + 80:at + 80 + size]
        at += 80 + (size + 7 & ~7)


def directory(payload, at):
    stored, _, _ = struct.unpack_from("<IIQ", payload, at)
    return unpack(payload[at + 16:at + 16 + stored]), payload[at + 16 + stored:]


def save(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    corpus = sys.argv[2]
    name = sys.argv[3] if len(sys.argv) > 3 else None
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    chunk, strings, count = None, b"", 0
    if name:
        save(os.path.join(corpus, "segment"), name, data)
    for kind, payload in blocks(data):
        if kind == 2:
            generation, first, n, _ = struct.unpack_from("<IIII", payload)
            raw = unpack(payload[16:])[:60000]
            strings += struct.pack("<BHHH", generation & 255, first & 65535, n & 65535, len(raw)) + raw
        elif kind == 3:
            types = struct.unpack_from("<I", payload, 12)[0]
            zone = payload[:56 + 2 * types]
            chunk = (zone,) + directory(payload, len(zone))
            if name:
                head = struct.pack("<HHHH", len(chunk[0]), len(chunk[1]), len(chunk[2]), 0)
                save(os.path.join(corpus, "chunk"), name, head + b"".join(chunk))
                return
        elif kind == 4 and chunk:
            attrs = directory(payload, 0)
            head = struct.pack("<HHHH", len(chunk[0]), len(chunk[1]), len(chunk[2]), len(attrs[0]))
            save(os.path.join(corpus, "chunk"), "story-%d" % count, head + b"".join(chunk) + b"".join(attrs))
            count += 1
            chunk = None
    save(os.path.join(corpus, "dictionary"), "story", strings)
    values = bytes(range(256)) * 4
    for encoding in range(8):
        save(os.path.join(corpus, "column"), "encoding-%d" % encoding, struct.pack("<BH", encoding, 100) + values[:400 + 77 * encoding])
    save(os.path.join(corpus, "column"), "few-values", struct.pack("<BH", 3, 64) + struct.pack("<4Q", 5, 2**63, 5, 2**40) * 16)
    save(os.path.join(corpus, "index"), "no-database", b"SQLite format 3\0 but not one")
    save(os.path.join(corpus, "index"), "nothing", b"")


if __name__ == "__main__":
    main()
