#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""annotate.py SEGMENT [FORMAT.md]: every byte of a small segment with its meaning, as FORMAT.md shows it. With FORMAT.md,
the example there is replaced. Compressed parts are followed by what they hold, with a + before the offset."""
import re
import sys

from aquila_reader import (HEADER, K_ATTRIBUTES, K_CHUNK, K_DICTIONARY, K_FOOTER, K_LEDGER, K_SEGMENT, Bytes, Segment,
                           unzstd)

KINDS = {1: "segment header", 2: "dictionary", 3: "chunk", 4: "attributes", 5: "ledger", 6: "footer", 7: "signature"}
FACTS = {1: "host", 2: "kernel release", 3: "kernel version", 4: "machine", 5: "boot id", 6: "recorder version",
         7: "command", 8: "features", 9: "policy", 16: "chain before this segment", 32: "recording"}
BYTES_A_LINE = 16


class Notes:
    """Takes bytes one field after the other and writes a line for each."""

    def __init__(self, data, base, sign=""):
        self.b, self.base, self.sign, self.lines = Bytes(data), base, sign, []

    def line(self, start, text):
        data = self.b.data[start:self.b.at]
        for i in range(0, max(len(data), 1), BYTES_A_LINE):
            part = " ".join("%02x" % c for c in data[i:i + BYTES_A_LINE])
            self.lines.append(("%s%04x  %-47s  %s" % (self.sign or " ", self.base + start + i, part,
                                                      text if i == 0 else "")).rstrip())

    def bytes(self, n, text):
        start = self.b.at
        data = self.b.take(n)
        self.line(start, text)
        return data

    def number(self, n, text):
        value = int.from_bytes(self.b.data[self.b.at:self.b.at + n], "little")
        self.bytes(n, "%s: %d" % (text, value))
        return value

    def many(self, text, *sizes):
        """Numbers in one line; size 0: varint."""
        start = self.b.at
        values = [self.b.number(n) if n else self.b.varint() for n in sizes]
        self.line(start, text % tuple(values))
        return values

    def rest(self):
        return self.b.end - self.b.at

    def inside(self, frames):
        """Notes about what a compressed part holds."""
        data = unzstd(frames)[0]
        return Notes(data, 0, "+")


def zone(n):
    events, _, _, types = n.many("events %d, generation %d, strings %d, types %d", 4, 4, 4, 4)
    n.many("first and last time: %d, %d", 8, 8)
    n.many("of ring events: %d, %d", 8, 8)
    n.many("lowest and highest pid: %d, %d", 4, 4)
    n.many("type table:" + " %d" * types, *[2] * types)
    return events


def directory(n):
    stored, size, _ = n.many("directory: %d bytes, decompressed %d, xxh3 %016x", 4, 4, 8)
    d = n.inside([(n.bytes(stored, "directory, zstd"), size)])
    streams, count = d.many("streams %d, frames %d", 0, 0)
    pieces = [[] for _ in range(count)]
    for _ in range(streams):
        stream, _, kind, index, frame, length, _ = d.many("stream %d, encoding %d, type %d, index %d, frame %d, bytes %d, values %d", 1, 1, 0, 1, 0, 0, 0)
        pieces[frame - 1].append(("stream %d, type %d, index %d", (stream, kind, index), length))  # frame 0: the last
    frames = [d.many("frame: stored %d, decoded %d, method %d, xxh3 %08x", 0, 0, 1, 4) for _ in range(count)]
    n.lines += d.lines
    for number, (stored, size, method, _) in enumerate(frames):
        inner = n.inside([(n.bytes(stored, "frame %d, zstd" % (number + 1)), size)]) if method else n
        for text, values, length in pieces[number]:
            inner.bytes(length, ("" if method else "frame %d, as it is: " % (number + 1)) + text % values)
        n.lines += inner.lines if method else []


def payload(n, kind, size):
    if kind == K_SEGMENT:
        n.many("format %d, compatible %d, incompatible %d, flags %d", 4, 4, 4, 4)
        n.bytes(16, "capture id")
        n.number(8, "segment")
        n.many("boot time %d, wall-clock %d", 8, 8)
        n.many("CPUs %d, ticks %d, page %d, resolution %d", 4, 4, 4, 4)
        for _ in range(n.number(4, "facts")):
            key, length = n.many("key %d, length %d", 4, 4)
            n.lines[-1] += " (%s)" % FACTS[key]
            if length:
                data = n.b.data[n.b.at:n.b.at + length]
                n.bytes(length, "" if key == 16 else data.decode())
    elif kind == K_DICTIONARY:
        _, _, count, raw = n.many("generation %d, first %d, strings %d, decompressed %d", 4, 4, 4, 4)
        d = n.inside([(n.bytes(size - 16, "strings, zstd"), raw)])
        lengths = d.many("lengths:" + " %d" * count, *[0] * count)
        for length in lengths:
            d.bytes(length, d.b.data[d.b.at:d.b.at + length].decode())
        n.lines += d.lines
    elif kind in (K_CHUNK, K_ATTRIBUTES):
        if kind == K_CHUNK:
            zone(n)
        directory(n)
    elif kind == K_LEDGER:
        n.many("boot time %d, wall-clock %d", 8, 8)
        rows, gaps, _, _ = n.many("rows %d, gaps %d, flags %d, recording %d", 4, 4, 4, 4)
        for _ in range(rows):
            n.many("CPU %d, class %d: produced %d, stored %d, lost %d, left out %d, degraded %d", 0, 1, 0, 0, 0, 0, 0)
        for _ in range(gaps):
            n.many("gap: first %d, last %d", 8, 8)
            n.many("count %d, cgroup %d", 8, 8)
            for _ in range(n.many("CPU %d, class %d, reason %d, by event %d", 2, 1, 1, 4)[3]):
                n.many("count %d of event %d, reserved %d", 8, 2, 6)
    elif kind == K_FOOTER:
        n.many("events %d, chunks %d", 8, 8)
        for text in ("ring events", "all events and clocks", "gaps"):
            n.many("first and last time of " + text + ": %d, %d", 8, 8)
        n.many("clocks: boot time %d, wall-clock %d", 8, 8)
        n.number(8, "last ledger at")
        blocks, raw = n.many("blocks %d, entries decompressed %d", 4, 4)
        n.many("xxh3 of the summary %016x", 8)
        d = n.inside([(n.bytes(size - 104, "entries, zstd"), raw)])
        for _ in range(blocks):
            entry = d.many("kind %d, flags %d, payload bytes %d", 1, 1, 0)[0]
            if entry == K_DICTIONARY:
                d.many("generation %d, first %d, strings %d", 0, 0, 0)
            elif entry == K_CHUNK:
                zone(d)
        n.lines += d.lines


def annotate(path):
    lines = []
    segment = Segment(path, True)
    for block in segment.blocks:
        lines += ["", "block %d: %s" % (block.number, KINDS[block.kind])]
        n = Notes(segment.data[block.offset:], block.offset)
        n.bytes(4, "magic")
        n.many("kind %d, flags %d", 2, 2)
        size = n.number(8, "payload bytes")
        n.number(8, "block")
        n.many("xxh3 of the payload %016x", 8)
        n.bytes(32, "chain")
        n.bytes(8, "reserved")
        n.many("xxh3 of the header %016x", 8)
        payload(n, block.kind, size)
        if n.b.at % 8:
            n.bytes(-n.b.at % 8, "filled up")
        assert n.b.at == HEADER + (size + 7) // 8 * 8, "bytes without a meaning"
        lines += n.lines
    end = block.offset + n.b.at
    n = Notes(segment.data[end:], end)
    lines += ["", "trailer"]
    n.number(8, "footer at")
    n.bytes(8, "magic")
    assert n.rest() == 0, "bytes without a meaning"
    return "\n".join((lines + n.lines)[1:]) + "\n"


def main(arguments):
    text = annotate(arguments[0])
    if len(arguments) < 2:
        sys.stdout.write(text)
        return
    with open(arguments[1], encoding="utf-8") as f:
        document = f.read()
    changed, count = re.subn(r"(<!-- example -->\n```\n).*?(```\n)", lambda m: m.group(1) + text + m.group(2), document,
                             flags=re.S)
    assert count == 1, "the document has no place for an example"
    with open(arguments[1], "w", encoding="utf-8") as f:
        f.write(changed)


if __name__ == "__main__":
    main(sys.argv[1:])
