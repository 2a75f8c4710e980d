/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The byte layout of FORMAT.md as numbers, shared by writer and reader; private to this folder.
 */
#ifndef AQ_FORMAT_SEGMENT_LAYOUT_H
#define AQ_FORMAT_SEGMENT_LAYOUT_H

#include "format/base/buf.h"
#include "format/base/err.h"
#include "format/segment/event.h"
#include "format/segment/reader.h"

enum {
	AQ_FORMAT_VERSION = 1,
	AQ_BLOCK_MAGIC = 0x31425141,        /* "AQB1" */
	AQ_BLOCK_HEADER_BYTES = 80,
	AQ_BLOCK_FIELDS_BYTES = 24,         /* of the header, before the hash of the payload */
	AQ_TRAILER_BYTES = 16,
	AQ_BLOCK_CHAIN_AT = 32,             /* of the chain value in the header */
	AQ_CHAIN_BYTES = 32,
	AQ_BLOCK_PAYLOAD_MAX = 256 << 20,
	AQ_CHUNK_EVENTS_MAX = 1 << 20,
	AQ_CHUNK_RAW_MAX = 512 << 20,       /* decoded bytes of one chunk's frames */
	AQ_DICTIONARY_BYTES_MAX = 96 << 20, /* strings alive in one generation */
	AQ_DICTIONARY_COUNT_MAX = 2 << 20,
};
#define AQ_TRAILER_MAGIC 0x3130302d41515141ull /* "AQQA-001", read from the end */

enum aq_block_kind {
	AQ_BLOCK_SEGMENT = 1,
	AQ_BLOCK_DICTIONARY = 2,
	AQ_BLOCK_CHUNK = 3,
	AQ_BLOCK_ATTRS = 4,
	AQ_BLOCK_LEDGER = 5,
	AQ_BLOCK_FOOTER = 6,
	AQ_BLOCK_SIGNATURE = 7,
	AQ_BLOCK_FACTS = 8,    /* of an encrypted segment: what else stands in its header */
	AQ_BLOCK_MANIFEST = 9, /* in manifest.aqm only */
};

enum aq_block_flag {
	AQ_BLOCKF_REQUIRED = 1 << 0, /* a reader that does not know the kind must not go on */
	AQ_BLOCKF_ATTRS = 1 << 1,    /* on a chunk: its attributes are the next block */
	AQ_BLOCKF_ENCRYPTED = 1 << 2, /* the payload is encrypted with the segment's key */
	AQ_BLOCKF_EARLY = 1 << 4,    /* on a chunk: written ahead of older events of other classes */
};

struct aq_block {
	uint16_t kind, flags;
	bool bare;             /* known from the footer only: the header, with payload_hash, is still to be read */
	uint64_t offset;       /* of the header in the file */
	uint64_t payload_bytes;
	uint64_t number;
	uint64_t payload_hash; /* xxh3-64 */
	uint64_t nonce;        /* of an encrypted block: makes the cipher's unique; else 0 */
};

/* Puts a header for the payload at `header` (AQ_BLOCK_HEADER_BYTES). */
void aq_block_header_write(uint8_t *header, const struct aq_block *block);
/* The chain's value after a block, from the value before it, the block's header (its room for the value is not looked
 * at) and the payload as it is stored. sodium_init() comes before the first call: it makes it fast. */
void aq_chain_next(const uint8_t before[AQ_CHAIN_BYTES], const uint8_t *header, const void *payload, size_t bytes,
		   uint8_t ret_value[AQ_CHAIN_BYTES]);
/* Puts a value into the room of a written header, and mends its checksum. */
void aq_chain_put(uint8_t *header, const uint8_t value[AQ_CHAIN_BYTES]);
/* False when magic or checksum are wrong. offset is left to the caller. */
bool aq_block_header_read(const uint8_t *header, struct aq_block *ret_block);

enum aq_incompatible {
	AQ_INCOMPATIBLE_SEALED = 1 << 0,     /* blocks are encrypted, facts are in a block of their own */
	AQ_INCOMPATIBLE_TIME_SIZES = 1 << 1, /* times are in streams 12 and 13 */
	AQ_INCOMPATIBLE_KNOWN = AQ_INCOMPATIBLE_SEALED | AQ_INCOMPATIBLE_TIME_SIZES,
};
enum {
	AQ_SEGMENTF_POINTERS = 1 << 0,
	AQ_SEGMENTF_RETENTION = 1 << 1, /* the recorder removes old segments: that they are gone is no damage */
	AQ_SEGMENTF_ADDED = 1 << 2,     /* facts that somebody added later, and nothing else */
};
enum {
	AQ_LEDGERF_FINAL = 1 << 0,
	AQ_LEDGERF_RUNNING = 1 << 1, /* totals of a moment: only stored is exact */
	AQ_LEDGERF_BASE = 1 << 2,    /* the segment's first: what all segments before it hold */
};

/* keys of the host facts in a segment header */
enum aq_fact_key {
	AQ_FACT_HOST = 1, AQ_FACT_KERNEL_RELEASE = 2, AQ_FACT_KERNEL_VERSION = 3, AQ_FACT_MACHINE = 4,
	AQ_FACT_BOOT_ID = 5, AQ_FACT_RECORDER_VERSION = 6, AQ_FACT_COMMAND = 7, AQ_FACT_FEATURES = 8, AQ_FACT_POLICY = 9,
	AQ_FACT_DERIVED = 10, /* only where it is */
	AQ_FACT_COUNT = 11,
	AQ_FACT_RECORDING = 32, /* kept apart: a number */
};
enum { AQ_ALIKE_BYTES = 32, AQ_REPLACED_BYTES = AQ_CHAIN_BYTES + 32 + 8 };
enum { /* no texts */
	AQ_FACT_CHAIN = 16,      /* the chain's value before the segment */
	AQ_FACT_RECIPIENTS = 17, /* who can open an encrypted segment, see seal.h */
	AQ_FACT_ALIKE = 18,      /* of an encrypted one: what a recording that continues it must have alike, see append.h */
	AQ_FACT_REPLACED = 19,   /* of a segment written again in its place: what was recorded there, see replace.c */
};

/* streams of a chunk */
enum aq_stream {
	AQ_STREAM_THREADS = 1,    /* table of thread contexts with run lengths */
	AQ_STREAM_TYPES = 2,      /* index into the chunk's type table, per event */
	AQ_STREAM_TIME_CLASS = 3, /* times as they were written first: bits of the time since the thread's previous event; sub: log2 of its unit in ns */
	AQ_STREAM_TIME_BITS = 4,  /* those bits below the leading one, packed */
	AQ_STREAM_CPU = 5,
	AQ_STREAM_FLAGS = 6,
	AQ_STREAM_RET = 7,        /* per type */
	AQ_STREAM_ARG = 8,        /* per type and argument */
	AQ_STREAM_NR = 9,         /* raw number, for the type "unknown" */
	AQ_STREAM_DURATION_CLASS = 10, /* how long a call took: size and kind, per event; absent when no event has one */
	AQ_STREAM_DURATION_BITS = 11,  /* what the class leaves open, packed */
	AQ_STREAM_TIME_SIZE = 12, /* per type: size of the time since the thread's previous event */
	AQ_STREAM_TIME_OPEN = 13, /* what the size leaves open, packed; sub: log2 of the unit of times in ns */
	AQ_STREAM_ATTR_ID = 16,   /* per type and key: dictionary id + 1, 0 for none */
	AQ_STREAM_ATTR_EXTRA = 17 /* per type and key: flags and true lengths where there are any */
};

/* how the values of a stream became bytes */
enum aq_encoding {
	AQ_ENC_BYTES = 0,    /* structure given by the stream itself */
	AQ_ENC_CONST = 1,    /* one value for all */
	AQ_ENC_FRAME = 2,    /* value - base in w bytes, plane by plane */
	AQ_ENC_DELTA = 3,    /* zigzag varint of the difference from the value before */
	AQ_ENC_DICT = 4,     /* up to 256 distinct values, one index byte each */
};

enum aq_frame_method { AQ_FRAME_RAW = 0, AQ_FRAME_ZSTD = 1 };

struct aq_stream_entry {
	uint8_t stream, encoding;
	uint16_t type;     /* index into the type table */
	uint8_t sub;       /* argument or attribute key */
	uint32_t frame;
	uint32_t offset, bytes; /* in the decoded frame; the offset follows from the streams before */
	uint32_t values;
};
enum {
	AQ_CHUNK_STREAMS_MAX = 60000,
	AQ_CHUNK_FRAMES_MAX = 65535,
	AQ_DIRECTORY_BYTES_MAX = 4 << 20,
	AQ_STREAM_ENTRY_MIN = 7, /* bytes on disk */
	AQ_FRAME_ENTRY_MIN = 7,
	AQ_DIRECTORY_HEAD_BYTES = 16, /* two lengths and a checksum */
	AQ_TIME_UNIT_MAX = 32,
};
/* xxh3 of what stands before a directory's checksum in its payload (zone map), and of the directory as stored. */
uint64_t aq_directory_check(const void *before, size_t before_bytes, const void *directory, size_t directory_bytes);

/* Zone map of a chunk: opens its payload and stands in the footer too. */
struct aq_zone {
	uint32_t events;
	uint32_t generation, dictionary_count; /* strings below dictionary_count of this generation are needed */
	uint64_t min_ns, max_ns;               /* all events */
	uint64_t ring_min_ns, ring_max_ns;     /* those from rings; min > max if there are none */
	uint32_t min_pid, max_pid;
	uint32_t type_count;
	const uint8_t *types;                  /* type_count little-endian 16-bit event ids, borrowed */
};
void aq_zone_write(struct aq_buf *b, const struct aq_zone *zone);
/* False when it is cut or senseless. */
bool aq_zone_read(struct aq_bytes *r, struct aq_zone *ret_zone);

/* What a footer says of its segment as a whole: enough to know whether the rest is needed. */
struct aq_footer_summary {
	uint64_t events, chunks;
	uint64_t ring_min_ns, ring_max_ns;   /* of events from rings; min > max: none */
	uint64_t first_ns, last_ns;          /* proofs of life: events of any kind, clocks; first > last: none */
	uint64_t gap_first_ns, gap_last_ns;  /* all gaps in its ledgers lie within; first > last: none */
	uint64_t boot_ns, real_ns;           /* the last pair of clocks; 0: none */
	uint64_t ledger_offset;              /* of the last ledger; 0: none */
	uint32_t blocks, entry_bytes;        /* before the footer; their entries when decompressed */
};
enum { AQ_FOOTER_SUMMARY_BYTES = 11 * 8 + 2 * 4 + 8, AQ_FOOTER_ENTRIES_MAX = 256 << 20 }; /* the last 8: its xxh3 */
void aq_footer_summary_write(struct aq_buf *b, const struct aq_footer_summary *summary);
/* False when it is cut or its checksum is wrong. */
bool aq_footer_summary_read(struct aq_bytes *r, struct aq_footer_summary *ret_summary);

/* What of a number is kept: 32-bit types lose a register's upper half, pointers what policy drops. */
enum aq_width { AQ_WIDTH_NONE, AQ_WIDTH_S32, AQ_WIDTH_U32, AQ_WIDTH_64 };
enum aq_width aq_type_width(enum aq_type type, bool keep_pointers);
static inline uint64_t aq_normalise(enum aq_width width, uint64_t value)
{
	return width == AQ_WIDTH_64 ? value : width == AQ_WIDTH_S32 ? (uint64_t)(int64_t)(int32_t)value :
	       width == AQ_WIDTH_U32 ? (uint32_t)value : 0;
}

/*
 * Durations of a chunk's events, in units of its times. distance[] is the time since the thread's previous event (stream
 * 3), duration[] 1 + the duration, 0: unknown. encode puts one class per event and the packed bits; decode fills
 * duration[], false when the bytes are cut or senseless. distance and duration may be the same array.
 */
void aq_durations_encode(const uint64_t *distance, const uint64_t *duration, uint32_t count, struct aq_buf *classes,
			 struct aq_buf *bits);
bool aq_durations_decode(const uint8_t *classes, const uint8_t *bits, size_t bit_bytes, const uint64_t *distance,
			 uint64_t *duration, uint32_t count);

/* Columns of values. encode appends to out and says which encoding it chose. */
enum aq_encoding aq_column_encode(const uint64_t *values, uint32_t count, struct aq_buf *out);
/* Fills values[count]; false when the bytes are cut or senseless. */
bool aq_column_decode(enum aq_encoding encoding, const uint8_t *data, size_t bytes, uint64_t *values, uint32_t count);

#endif
