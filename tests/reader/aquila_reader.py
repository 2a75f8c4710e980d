#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second reader of captures, written from format/FORMAT.md and the tables it names, and from nothing else. It exists
to hold the document and the C reader against each other: its rows are those of `aquila query --all --gaps --raw`, apart
from gaps of reason 6 (damage), for which the document leaves a reader its choice.

usage: aquila_reader.py [--no-checksums] [--ledger | --blocks] CAPTURE
       aquila_reader.py [--no-checksums] --into DIR CAPTURE...

--into: all three of the first capture to DIR/1.rows, DIR/1.ledger and DIR/1.blocks, of the second to DIR/2.rows, and so
on; --ledger: the last ledger, as `aquila losses --format ndjson` has it by class and by CPU; --blocks: a line for each block,
encoding, stream and gap reason that occurs."""
import hashlib
import json
import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from aquila_schema import LOW_SIGNED, LOW_UNSIGNED, M64, SIGNED, TEXT, Schema  # noqa: E402
from aquila_xxh3 import xxh3_64  # noqa: E402

HEADER, PAYLOAD_MAX = 80, 1 << 28
BLOCK_MAGIC, TRAILER_MAGIC = 0x31425141, 0x3130302D41515141
K_SEGMENT, K_DICTIONARY, K_CHUNK, K_ATTRIBUTES, K_LEDGER, K_FOOTER, K_SIGNATURE = 1, 2, 3, 4, 5, 6, 7
F_REQUIRED, F_HAS_ATTRIBUTES, F_EARLY = 1, 2, 16
FACT_CHAIN, FACT_RECORDING = 16, 32
S_THREADS, S_TYPES, S_TIME_CLASS, S_TIME_BITS, S_CPU, S_FLAGS, S_RESULT, S_ARGUMENT, S_RAW = range(1, 10)
S_DURATION_CLASS, S_DURATION_BITS, S_TIME_SIZE, S_TIME_OPEN = 10, 11, 12, 13
S_IDS, S_EXCEPTIONS = 16, 17
E_DEGRADED, E_RAW_NUMBER = 1, 2
UNKNOWN_COUNT = M64
ENCODE = json.JSONEncoder(separators=(",", ":")).encode
REASONS = {1: "ring-full", 2: "spool-shed", 3: "recorder-down", 4: "kernel-skipped", 5: "disk", 6: "damage",
           7: "filter", 8: "budget", 9: "coalesced", 10: "attribute"}
CLASSES = ["vital", "important", "ordinary", "bulk"]


class Bad(Exception):
    """What the file says makes no sense."""


class Refused(Exception):
    """What this reader does not know: a newer version, or an encrypted capture."""


class Bytes:
    """A cursor that never runs over its end."""

    def __init__(self, data, at=0, end=None):
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def take(self, n):
        if n > self.end - self.at:
            raise Bad("cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "little")

    def numbers(self, layout):
        layout = struct.Struct("<" + layout)
        return layout.unpack(self.take(layout.size))

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift >= 70:
                raise Bad("a varint of more than ten bytes")
        if value > M64:
            raise Bad("a varint beyond 64 bits")
        return value

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)


def signed(value):
    value &= M64
    return value - (1 << 64) if value >> 63 else value


def unzstd(frames):
    """[(bytes, decoded size)] through one zstd process; None for a frame that can't be decoded."""
    if not frames:
        return []
    run = subprocess.run(["zstd", "-dcq"], input=b"".join(f for f, _ in frames), capture_output=True, check=False)
    if run.returncode == 0 and len(run.stdout) == sum(n for _, n in frames):
        out, at = [], 0
        for _, n in frames:
            out.append(run.stdout[at:at + n])
            at += n
        return out
    if len(frames) == 1:
        return [None]
    half = len(frames) // 2
    return unzstd(frames[:half]) + unzstd(frames[half:])


class Block:
    def __init__(self, offset, kind, flags, number, payload):
        self.offset, self.kind, self.flags, self.number, self.payload = offset, kind, flags, number, payload


class Segment:
    """Blocks of one file. damages: what could not be read, as (offset, what)."""

    def __init__(self, path, check):
        self.path, self.blocks, self.damages = path, [], []
        with open(path, "rb") as f:
            self.data = f.read()
        self.check = check
        self.finished = False
        self.lives = []  # times at which the recorder surely ran
        self.whole = 0  # all that happened before this time is there, or in a gap
        self.recording = 0
        end, written = len(self.data), len(self.data.rstrip(b"\0"))
        if written >= 16 and int.from_bytes(self.data[written - 8:written], "little") == TRAILER_MAGIC:
            end = written - 16
        at = 0
        while at < end:
            size = self.block_at(at, end)
            if size == 0:
                if not any(self.data[at:end]) and not (self.blocks and self.blocks[-1].kind == K_FOOTER):
                    break  # the end, as if the file ended here
                start = at
                at += 8
                while at < end and not self.header_at(at, end):
                    at += 8
                self.damages.append((start, "no block"))
                continue
            at += size

    def header_at(self, at, end):
        d = self.data
        return (at + HEADER <= end and int.from_bytes(d[at:at + 4], "little") == BLOCK_MAGIC and
                xxh3_64(d[at:at + 72]) == int.from_bytes(d[at + 72:at + 80], "little"))

    def block_at(self, at, end):
        """Length of the block there with what fills it up; 0: none. It is kept when it is whole."""
        if not self.header_at(at, end):
            return 0
        _, kind, flags, size, number, sum_ = struct.unpack_from("<IHHQQQ", self.data, at)
        if size > PAYLOAD_MAX:
            return 0
        if at + HEADER + size > end:
            return 0
        payload = self.data[at + HEADER:at + HEADER + size]
        good = not self.check or xxh3_64(payload) == sum_
        self.blocks.append(Block(at, kind, flags, number, payload if good else None))
        self.blocks[-1].chained = self.data[at:at + 32] + self.data[at + 64:at + 72] + payload
        self.blocks[-1].chain = self.data[at + 32:at + 64]
        if not good:
            self.damages.append((at, "checksum"))
        return HEADER + (size + 7) // 8 * 8


def read_header(payload):
    b = Bytes(payload)
    version, _compatible, incompatible, flags = b.numbers("4I")
    if version == 0:
        raise Bad("version 0")
    if version != 1 or incompatible & ~2:
        raise Refused("version %d, features %d" % (version, incompatible))
    h = {"flags": flags, "id": b.take(16), "number": b.number(8)}
    h["clocks"] = b.numbers("QQ")
    h["cpus"], h["ticks"], h["page"], h["resolution"], count = b.numbers("5I")
    h["facts"] = {}
    for _ in range(count):
        key, size = b.numbers("II")
        h["facts"][key] = b.take(size)
    return h


def read_zone(b):
    z = dict(zip(("events", "generation", "strings", "types"), b.numbers("4I")))
    if not 1 <= z["events"] <= 1 << 20:
        raise Bad("number of events")
    z["times"] = b.numbers("QQ")
    if z["times"][0] > z["times"][1] or not 1 <= z["types"] <= 1200:
        raise Bad("a zone map")
    z["ring_times"] = b.numbers("QQ")
    z["pids"] = b.numbers("II")
    z["table"] = b.numbers("%dH" % z["types"])
    return z


def read_ledger(payload):
    b = Bytes(payload)
    boot, real, row_count, gap_count, flags, recording = b.numbers("QQIIII")
    rows, gaps = [], []
    for _ in range(row_count):
        cpu, cls = b.varint(), b.number(1)
        rows.append((cpu, cls) + tuple(b.varint() for _ in range(5)))
    for _ in range(gap_count):
        first, last, count, cgroup, cpu, cls, reason, n = b.numbers("QQQQHBBI")
        by = [b.numbers("QH6x")[::-1] for _ in range(n)]
        gaps.append({"first": first, "last": last, "count": count, "cgroup": cgroup, "cpu": cpu, "class": cls,
                     "reason": reason, "by": by})
    return boot, real, rows, gaps, flags, recording


def read_footer(payload):
    """[zone map of each chunk], in order."""
    b = Bytes(payload)
    b.take(88)
    count, size = b.numbers("II")
    sum_ = b.number(8)
    if xxh3_64(payload[:96]) != sum_:
        raise Bad("the summary's checksum")
    entries = unzstd([(payload[b.at:], size)])[0]
    if entries is None:
        raise Bad("the footer's entries")
    b, zones = Bytes(entries), []
    for _ in range(count):
        kind = b.numbers("BB")[0]
        b.varint()
        if kind == K_DICTIONARY:
            for _ in range(3):
                b.varint()
        elif kind == K_CHUNK:
            zones.append(read_zone(b))
    if b.at != b.end:
        raise Bad("bytes are left over in the footer")
    return zones


class Frames:
    """The directory of a chunk or an attribute block, and its streams."""

    def __init__(self, payload, at, check):
        b = Bytes(payload, at)
        stored, self.directory_size, sum_ = b.numbers("IIQ")
        if self.directory_size > 1 << 22:
            raise Bad("size of the directory")
        self.directory_bytes = b.take(stored)
        if check and xxh3_64(payload[:at] + self.directory_bytes) != sum_:
            raise Bad("the directory's checksum")
        self.payload, self.data_at, self.check = payload, b.at, check

    def parse(self, directory):
        if directory is None:
            raise Bad("directory")
        b = Bytes(directory)
        stream_count, frame_count = b.varint(), b.varint()
        if stream_count > 60000 or not 1 <= frame_count <= 65535:
            raise Bad("counts of the directory")
        self.streams, self.frames = [], []
        for _ in range(stream_count):
            stream, encoding = b.numbers("BB")
            kind, index = b.varint(), b.number(1)
            self.streams.append([stream, encoding, kind, index, b.varint(), b.varint(), b.varint()])
        body = Bytes(self.payload, self.data_at)
        for _ in range(frame_count):
            stored, size, method, sum_ = b.varint(), b.varint(), b.number(1), b.number(4)
            if method > 1 or (method == 0 and stored != size) or size > PAYLOAD_MAX:
                raise Bad("a frame's entry")
            self.frames.append([body.take(stored), size, method])
            if self.check and xxh3_64(self.frames[-1][0]) & 0xFFFFFFFF != sum_:
                raise Bad("a frame's checksum")
        if b.at != b.end or body.at != body.end:
            raise Bad("bytes are left over")

    def wanted(self):
        return [f for f in self.frames if f[2] == 1]

    def spread(self):
        """After decoding: [(stream, encoding, type, index, bytes, values)] in order."""
        if self.streams is None:
            raise Bad("directory")
        at, out = [0] * len(self.frames), []
        for stream, encoding, kind, index, frame, size, count in self.streams:
            f = len(self.frames) - 1 if frame == 0 else frame - 1
            if f >= len(self.frames) or self.frames[f][0] is None or size > self.frames[f][1] - at[f]:
                raise Bad("a stream lies outside its frame")
            out.append((stream, encoding, kind, index, self.frames[f][0][at[f]:at[f] + size], count))
            at[f] += size
        return out


def decode_values(encoding, data, n):
    b = Bytes(data)
    if encoding == 1:
        out = [b.zigzag()] * n
    elif encoding == 2:
        base, width = b.zigzag(), b.number(1)
        if width not in (1, 2, 4, 8):
            raise Bad("width of a frame of reference")
        planes = [b.take(n) for _ in range(width)]
        out = [base + int.from_bytes(bytes(p), "little") for p in zip(*planes)]
    elif encoding == 3:
        out, value = [], 0
        for _ in range(n):
            value = value + b.zigzag() & M64
            out.append(value)
    elif encoding == 4:
        d = b.varint()
        if not 1 <= d <= 256:
            raise Bad("size of a stream's dictionary")
        values = [b.zigzag() for _ in range(d)]
        indexes = b.take(n)
        if n and max(indexes) >= d:
            raise Bad("index into a stream's dictionary")
        out = [values[i] for i in indexes]
    else:
        raise Bad("encoding %d" % encoding)
    if b.at != b.end:
        raise Bad("bytes are left over in a stream")
    return [v & M64 for v in out]


class Event:
    __slots__ = ("time", "cpu", "id", "abi", "pid", "tid", "cgroup", "flags", "raw", "result", "args", "attrs", "duration")


class Chunk:
    def __init__(self, segment, block):
        self.segment, self.block, self.events, self.attributes = segment, block, None, None
        b = Bytes(block.payload)
        self.zone = read_zone(b)
        self.frames = Frames(block.payload, b.at, segment.check)

    def threads(self, data, n):
        b, out = Bytes(data), []
        pid = cgroup = total = 0
        while b.at < b.end:
            pid = pid + b.zigzag() & 0xFFFFFFFF
            tid = pid + b.zigzag() & 0xFFFFFFFF
            cgroup = cgroup + b.zigzag() & M64
            abi, count = b.number(1), b.varint()
            out.append((pid, tid, cgroup, abi, count))
            total += count
            if total > n:
                break
        if total != n:
            raise Bad("threads and events do not add up")
        return out

    @staticmethod
    def by_class(classes, bits):
        """Distances as they were written first."""
        at = 0
        for c in classes:
            if c > 64:
                raise Bad("a time class")
            delta = c
            if c > 1:
                word = int.from_bytes(bits[at >> 3:(at >> 3) + 9], "little") >> (at & 7)
                delta = 1 << (c - 1) | word & (1 << (c - 1)) - 1
                at += c - 1
            yield delta
        if (at + 7) // 8 > len(bits):
            raise Bad("time bits")

    @staticmethod
    def by_size(types, kinds, streams, bits):
        """Distances as they are written now: sizes by type, and the bits that they leave open. streams: (type, sizes)."""
        count, sizes, kind = [0] * kinds, [], 0
        for t in types:
            count[t] += 1
        for first, data in streams:
            at = 0
            if first != kind:
                raise Bad("order of sizes")
            while at < len(data) and kind < kinds:
                sizes.append(iter(data[at:at + count[kind]]))
                at, kind = at + count[kind], kind + 1
            if at != len(data):
                raise Bad("number of sizes")
        if kind != kinds:
            raise Bad("number of sizes")
        at = 0
        for t in types:
            size = next(sizes[t])
            if size < 16:
                yield size
                continue
            n = 64 if size == 255 else size // 8 - 1
            word = int.from_bytes(bits[at >> 3:(at >> 3) + 9], "little") >> (at & 7) & (1 << n) - 1
            at += n
            yield word if size == 255 else (8 + size % 8) << n | word
        if (at + 7) // 8 > len(bits):
            raise Bad("bits of sizes")

    def times(self, threads, distances, unit):
        out, distances = [], iter(distances)
        first, last = self.zone["times"]
        for _, _, _, _, count in threads:
            time = first
            for _ in range(count):
                time += next(distances) << unit
                if time > last:
                    raise Bad("a time outside of the chunk")
                out.append(time)
        if next(distances, None) is not None:
            raise Bad("a time of no event")
        return out

    def durations(self, threads, times, whole, unit):
        """One for each event, None where it is not known."""
        if S_DURATION_CLASS not in whole and S_DURATION_BITS not in whole:
            return [None] * len(times)
        classes, bits = whole[S_DURATION_CLASS][1], whole[S_DURATION_BITS][1]
        if len(classes) != len(times) or any(whole[s][2] != len(times) for s in (S_DURATION_CLASS, S_DURATION_BITS)):
            raise Bad("number of durations")
        bits, held, out = int.from_bytes(bits, "little"), 8 * len(bits), []
        for _, _, _, _, count in threads:
            before = self.zone["times"][0]
            for _ in range(count):
                c, distance = classes[len(out)], times[len(out)] - before >> unit
                before = times[len(out)]
                if c == 0:
                    out.append(None)
                    continue
                size = c - 129 if c >= 129 else c - 1
                below = size // 2 - 1 if size >= 4 else 0
                value = (2 | size & 1) << below | bits & (1 << below) - 1 if size >= 4 else size
                bits, held = bits >> below, held - below
                if held < 0 or (c >= 129 and value > distance):
                    raise Bad("a duration")
                value = (distance - value if c >= 129 else value) << unit
                if value >= M64:
                    raise Bad("a duration")
                out.append(value)
        if bits or held > 7:
            raise Bad("bits of durations are left over")
        return out

    def decode(self):
        n, table = self.zone["events"], self.zone["table"]
        streams = self.frames.spread()
        whole, sizes = {}, []
        for s, e, kind, index, data, count in streams:
            if s < S_RESULT or s in (S_DURATION_CLASS, S_DURATION_BITS, S_TIME_OPEN):
                whole.setdefault(s, (e, data, count, index))
            if s == S_TIME_SIZE:
                sizes.append((kind, data))
        unit = whole[S_TIME_OPEN if S_TIME_OPEN in whole else S_TIME_CLASS][3]
        if unit > 32:
            raise Bad("unit of times")
        threads = self.threads(whole[S_THREADS][1], n)
        if len(threads) != whole[S_THREADS][2] or whole[S_CPU][2] != n or whole[S_FLAGS][2] != n:
            raise Bad("number of values")
        types = whole[S_TYPES][1]
        if len(table) > 256:
            if len(types) != 2 * n:
                raise Bad("types")
            types = [low | high << 8 for low, high in zip(types[:n], types[n:])]
        if len(types) != n or max(types) >= len(table):
            raise Bad("types")
        if S_TIME_OPEN in whole:
            distances = self.by_size(types, len(table), sizes, whole[S_TIME_OPEN][1])
        elif len(whole[S_TIME_CLASS][1]) == n:
            distances = self.by_class(whole[S_TIME_CLASS][1], whole[S_TIME_BITS][1])
        else:
            raise Bad("times")
        times = self.times(threads, distances, unit)
        cpus = decode_values(whole[S_CPU][0], whole[S_CPU][1], n)
        flags = decode_values(whole[S_FLAGS][0], whole[S_FLAGS][1], n)
        durations = self.durations(threads, times, whole, unit)
        events, i = [], 0
        self.by_type = [[] for _ in table]
        for pid, tid, cgroup, abi, count in threads:
            for _ in range(count):
                e = Event()
                e.time, e.cpu, e.id, e.flags = times[i], cpus[i], table[types[i]], flags[i]
                e.pid, e.tid, e.cgroup, e.abi = pid, tid, cgroup, abi
                e.raw, e.result, e.args, e.attrs = None, None, {}, []
                e.duration = durations[i]
                events.append(e)
                self.by_type[types[i]].append(e)
                i += 1
        for stream, encoding, kind, index, data, count in streams:
            if stream not in (S_RESULT, S_ARGUMENT, S_RAW):
                continue
            if kind >= len(table) or count != len(self.by_type[kind]):
                raise Bad("type of a stream")
            mine = self.by_type[kind]
            values = decode_values(encoding, data, len(mine))
            for e, v in zip(mine, values):
                if stream == S_RESULT:
                    e.result = signed(v)
                elif stream == S_RAW:
                    e.raw = v
                else:
                    e.args[index] = v
        self.events = events

    def decode_attributes(self, frames, strings):
        exceptions, ids = {}, []
        for stream, encoding, kind, key, data, count in frames.spread():
            if kind >= len(self.by_type):
                raise Bad("type of a stream")
            if stream == S_IDS:
                if count != len(self.by_type[kind]):
                    raise Bad("number of values")
                ids.append((kind, key, decode_values(encoding, data, len(self.by_type[kind]))))
            elif stream == S_EXCEPTIONS:
                b, ordinal, found = Bytes(data), 0, {}
                for _ in range(count):
                    ordinal += b.varint()
                    found[ordinal] = (b.varint(), b.varint())
                exceptions[kind, key] = found
        for kind, key, numbers in ids:
            special = exceptions.get((kind, key), {})
            for ordinal, (event, number) in enumerate(zip(self.by_type[kind], numbers)):
                if number == 0:
                    continue
                text = strings.get(number - 1)
                if text is None:
                    event.flags |= E_DEGRADED
                else:
                    event.attrs.append((key, text) + special.get(ordinal, (0, 0)))


class Capture:
    def __init__(self, path, schema, check=True):
        names = [path] if os.path.isfile(path) else sorted(
            os.path.join(path, n) for n in os.listdir(path) if re.fullmatch(r"segment-[0-9]{6}\.aqs", n))
        self.segments = [Segment(n, check) for n in names]
        self.chunks, self.gaps, self.clocks = [], [], []
        self.recordings = {}  # number: the last rows of its ledger
        self.whole = 0
        self.pointers, self.header = False, None
        self.schema = schema
        for segment in self.segments:
            self.read_segment(segment)
        if self.header is None and not self.chunks and not self.recordings:
            raise Bad("no segment has a readable header")
        self.clocks.sort()
        self.unfinished()
        self.gaps.sort(key=lambda g: tuple(g[k] for k in ("first", "cpu", "class", "reason", "last", "cgroup", "count")))

    def read_segment(self, segment):
        dictionaries, chunks = [], []
        for block in segment.blocks:
            try:
                if block.payload is None:
                    pass
                elif block.kind == K_SEGMENT:
                    header = read_header(block.payload)
                    if self.header is None:
                        self.header = header
                        self.pointers = bool(header["flags"] & 1)
                        self.clocks.append(header["clocks"])
                    if header["id"] != self.header["id"]:
                        segment.damages.append((block.offset, "another capture"))
                        break
                    segment.recording = int(header["facts"].get(FACT_RECORDING, b"0"))
                    if self.recordings and segment.recording > max(self.recordings):
                        self.clocks.append(header["clocks"])
                    self.recordings.setdefault(segment.recording, [])
                elif block.kind == K_DICTIONARY:
                    generation, first, count, size = Bytes(block.payload).numbers("4I")
                    dictionaries.append((generation, first, count, block.payload[16:], size))
                elif block.kind == K_CHUNK:
                    chunks.append(Chunk(segment, block))
                    segment.lives += chunks[-1].zone["times"]
                    if chunks[-1].zone["ring_times"][0] <= chunks[-1].zone["ring_times"][1] and \
                            not block.flags & F_EARLY:
                        self.whole = max(self.whole, chunks[-1].zone["ring_times"][1])
                elif block.kind == K_ATTRIBUTES and chunks and \
                        chunks[-1].block.number + 1 == block.number:
                    chunks[-1].attributes = Frames(block.payload, 0, segment.check)
                elif block.kind == K_LEDGER:
                    boot, real, rows, gaps, flags, recording = read_ledger(block.payload)
                    self.recordings[recording] = rows or self.recordings.get(recording, [])
                    self.whole = max(self.whole, boot)
                    segment.finished = bool(flags & 1)
                    self.gaps += gaps
                    if boot:
                        self.clocks.append((boot, real))
                        segment.lives.append(boot)
                elif block.kind == K_FOOTER:
                    segment.finished = True
                    for zone in read_footer(block.payload) if segment.damages else []:
                        segment.lives += zone["times"]
                elif block.kind not in range(K_SEGMENT, K_SIGNATURE + 1) and block.flags & F_REQUIRED:
                    segment.damages.append((block.offset, "a required block of an unknown kind"))
                    segment.finished = False
                    break
            except (Bad, struct.error) as e:
                segment.damages.append((block.offset, str(e)))
        segment.whole = self.whole
        self.read_chunks(segment, chunks, dictionaries)

    def unfinished(self):
        """A segment without an end hides what came after it was last known to be whole."""
        written = [g for g in self.gaps if g["reason"] == 3]
        for i, segment in enumerate(self.segments):
            if segment.finished:
                continue
            after = [s for s in self.segments[i + 1:] if s.lives]
            first = max(segment.whole, self.header["clocks"][0] if self.header else 0)
            last = max(first, min(after[0].lives)) if after else M64
            if i + 1 < len(self.segments) and self.segments[i + 1].recording > segment.recording:
                later = [g["first"] for g in written if g["last"] >= first]
                if later and min(later) <= first:
                    continue  # the recording that went on has said so
                last = min([last] + later)
            self.gaps.append({"first": first, "last": last, "count": UNKNOWN_COUNT, "cgroup": 0, "cpu": 65535,
                              "class": 255, "reason": 3, "by": []})

    def chain_follows(self):
        """Section 14.1; only for captures without damage."""
        before = bytes(32)
        for s in self.segments:
            for b in s.blocks:
                before = hashlib.blake2b(before + b.chained, digest_size=32).digest()
                if b.chain != before:
                    return False
        return True

    def read_chunks(self, segment, chunks, dictionaries):
        """Two runs of zstd: dictionaries and directories, then frames."""
        listed = [f for c in chunks for f in (c.frames, c.attributes) if f]
        plain = unzstd([(d[3], d[4]) for d in dictionaries] + [(f.directory_bytes, f.directory_size) for f in listed])
        strings = {}
        for (generation, first, count, _, _), data in zip(dictionaries, plain):
            if data is None:
                segment.damages.append((0, "a dictionary"))
                continue
            b = Bytes(data)
            try:
                lengths = [b.varint() for _ in range(count)]
                texts = [b.take(n) for n in lengths]
                if b.at != b.end:
                    raise Bad("bytes are left over")
                strings.setdefault(generation, {}).update((first + i, t) for i, t in enumerate(texts))
            except Bad as e:
                segment.damages.append((0, str(e)))
        for f, data in zip(listed, plain[len(dictionaries):]):
            try:
                f.parse(data)
            except Bad as e:
                f.frames, f.streams = [], None
                segment.damages.append((0, str(e)))
        frames = [w for f in listed for w in f.wanted()]
        for w, data in zip(frames, unzstd([(w[0], w[1]) for w in frames])):
            w[0] = data
        for c in chunks:
            try:
                c.decode()
            except (Bad, KeyError) as e:
                segment.damages.append((c.block.offset, str(e)))
                continue
            self.chunks.append(c)
            lost = bool(c.block.flags & F_HAS_ATTRIBUTES) and not c.attributes
            try:
                if c.attributes:
                    c.decode_attributes(c.attributes, strings.get(c.zone["generation"], {}))
            except Bad as e:
                segment.damages.append((c.block.offset, str(e)))
                lost = True
            for e in c.events if lost else []:
                e.flags |= E_DEGRADED
                e.attrs = []

    def real(self, boot):
        pair = self.clocks[0]
        for p in self.clocks:
            if p[0] > boot:
                break
            pair = p
        return pair[1] + boot - pair[0] & M64

    def rows_in_order(self):
        events = [e for c in self.chunks for e in c.events]
        events.sort(key=lambda e: (e.time, e.cpu))  # stable: the position in the capture decides last
        g = 0
        for e in events:
            while g < len(self.gaps) and self.gaps[g]["first"] <= e.time:
                yield self.gap_text(self.gaps[g])
                g += 1
            yield self.event_text(e)
        for gap in self.gaps[g:]:
            yield self.gap_text(gap)

    def gap_text(self, g):
        out = {"boot_ns": g["first"], "real_ns": self.real(g["first"]), "type": "gap", "last_ns": g["last"],
               "count": None if g["count"] == UNKNOWN_COUNT else g["count"], "cgroup": g["cgroup"],
               "cpu": None if g["cpu"] == 65535 else g["cpu"], "class": None if g["class"] == 255 else g["class"],
               "reason": g["reason"], "by": [list(b) for b in g["by"]]}
        return ENCODE(out)

    def event_text(self, e):
        row = self.schema.events.get(e.id)
        e.id = row.id if row else 0
        out = {"boot_ns": e.time, "real_ns": self.real(e.time), "cpu": e.cpu, "id": e.id,
               "type": row.name if row else None, "abi": e.abi, "pid": e.pid, "tid": e.tid, "cgroup": e.cgroup,
               "flags": e.flags}
        if e.flags & E_RAW_NUMBER:
            out["nr"] = e.raw or 0
        if e.id < 1024:
            out["res"] = e.result or 0
            if -4095 <= out["res"] < 0:
                out["error"] = self.schema.errors.get(-out["res"])
        if e.duration is not None:
            out["duration_ns"] = e.duration
        out["args"], names = {}, {}
        if row is None:
            for i in range(6):
                out["args"][str(i)] = e.args.get(i, 0)
        else:
            known = len(row.arguments)  # a call's last ones without a stream are newer than the capture
            while e.id < 1024 and known and known - 1 not in e.args and row.arguments[known - 1].kind not in TEXT | {"PTR"}:
                known -= 1
            for i, argument in enumerate(row.arguments[:known]):
                if argument.kind in TEXT or (argument.kind == "PTR" and not self.pointers):
                    continue
                value = e.args.get(i, 0)
                if argument.kind in LOW_SIGNED:
                    value = signed((value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)
                elif argument.kind in LOW_UNSIGNED:
                    value &= 0xFFFFFFFF
                elif argument.kind in SIGNED:
                    value = signed(value)
                out["args"][argument.name] = value
                text = self.schema.value_text(argument, value, e.abi)
                if text is not None:
                    names[argument.name] = text
        if names:
            out["names"] = names
        if e.attrs:
            out["attrs"] = [self.attribute(*a) for a in e.attrs]
        return ENCODE(out)

    def attribute(self, key, data, flags, true_length):
        name, kind = self.schema.attributes.get(key, (None, "BYTES"))
        out = {"key": key, "name": name, "flags": flags, "true_len": true_length}
        if kind in ("STRING", "STRVEC"):
            try:
                out["text"] = data.decode("utf-8")
                return out
            except UnicodeDecodeError:
                pass
        out["hex"] = data.hex()
        return out

    def features(self):
        """What this capture has of the format."""
        out = set()
        for s in self.segments:
            out |= {"block %d" % b.kind for b in s.blocks}
            out.add("segment %s" % ("finished" if s.finished else "unfinished"))
            out |= {"damage"} if s.damages else set()
        for c in self.chunks:
            out.add("generation %d" % c.zone["generation"])
            for f in (c.frames, c.attributes):
                for stream, encoding, *_ in f.streams or [] if f else []:
                    out |= {"stream %d" % stream, "encoding %d" % encoding}
                for frame in f.frames if f else []:
                    out.add("method %d" % frame[2])
            out |= {"abi %d" % e.abi for e in c.events}
        out.add("chain follows" if self.chain_follows() else "chain does not follow")
        out |= {"reason %d" % g["reason"] for g in self.gaps}
        out |= {"pointers kept"} if self.pointers else set()
        out |= {"resolution %d" % self.header["resolution"]} if self.header else set()
        return sorted(out)

    def ledger(self):
        """The last ledgers of all recordings by class and by CPU, as `aquila losses --format ndjson` prints them."""
        rows = [r for rows in self.recordings.values() for r in rows]
        for column, place, keys in (("class", 1, range(4)), ("cpu", 0, sorted({r[0] for r in rows}))):
            for key in keys:
                sums = [sum(r[i] for r in rows if r[place] == key) for i in range(2, 7)]
                if column == "cpu" and not any(sums[:3]):
                    continue
                cells = {column: CLASSES[key] if column == "class" else key}
                cells.update(zip(("produced", "stored", "lost", "left_out", "text_lost"), sums))
                yield ENCODE(cells)


def main(arguments):
    options = [a for a in arguments if a.startswith("--")]
    paths = [a for a in arguments if not a.startswith("--")]
    into = paths.pop(0) if "--into" in options and paths else None
    if not paths or (len(paths) > 1 and not into) or set(options) - {"--no-checksums", "--ledger", "--blocks", "--into"}:
        print(__doc__, file=sys.stderr)
        return 2
    schema = Schema(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../format/schema"))
    for number, path in enumerate(paths, 1):
        try:
            capture = Capture(path, schema, "--no-checksums" not in options)
        except (Bad, Refused, OSError) as e:
            print("aquila_reader: %s: %s" % (path, e), file=sys.stderr)
            return 1
        kinds = {"ledger": capture.ledger, "blocks": capture.features, "rows": capture.rows_in_order}
        if into:
            for kind, lines in kinds.items():
                with open(os.path.join(into, "%d.%s" % (number, kind)), "w", encoding="ascii") as out:
                    out.writelines(line + "\n" for line in lines())
        else:
            kind = next((k for k in kinds if "--" + k in options), "rows")
            sys.stdout.writelines(line + "\n" for line in kinds[kind]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
