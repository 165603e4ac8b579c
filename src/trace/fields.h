/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The numbers of the .dvtrace format: Perfetto's fields that we use (protos/perfetto/trace/ in its
 * repository, v48 to v58) and our own. Private to src/trace; docs/trace-format.md draws the whole.
 */
#ifndef DV_TRACE_FIELDS_H
#define DV_TRACE_FIELDS_H

#include <stdint.h>

#define DV_TRACE_VERSION 1

/* Top level of the file. */
enum {
	TRACE_PACKET = 1,
	TRACE_OWN = 15, /* Perfetto knows no field 15 there and skips it */
};

/* perfetto.protos.TracePacket */
enum {
	PACKET_FTRACE_EVENTS = 1,
	PACKET_PROCESS_TREE = 2,
	PACKET_CLOCK_SNAPSHOT = 6,
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE_ID = 10,
	PACKET_TRACK_EVENT = 11,
	PACKET_INTERNED_DATA = 12,
	PACKET_SEQUENCE_FLAGS = 13,
	PACKET_ANDROID_LOG = 39,
	PACKET_COMPRESSED = 50,
	PACKET_CLOCK_ID = 58,
	PACKET_DEFAULTS = 59,
	PACKET_TRACK_DESCRIPTOR = 60,
	PACKET_OWN = 898,
	PACKET_QEMU_INFO = 899,
};

enum {
	SEQUENCE_ID = 1,	/* of all our packets */
	SEQUENCE_CLEARED = 1,	/* sequence_flags: SEQ_INCREMENTAL_STATE_CLEARED */
	CLOCK_REALTIME = 1,	/* what timestamps of log lines are taken for */
	CLOCK_BOOTTIME = 6,	/* the trace's time: icount, shown as ns by stock viewers */
	CLOCK_DELTA = 64,	/* of the sequence: each timestamp is the distance from the last */
};

enum { CLOCK_SNAPSHOT_CLOCKS = 1, CLOCK_ID = 1, CLOCK_TIMESTAMP = 2, CLOCK_IS_INCREMENTAL = 3 };
enum { DEFAULTS_TRACK_EVENT = 11, DEFAULTS_CLOCK_ID = 58 };
enum { EVENT_CATEGORY_IIDS = 3, EVENT_TYPE = 9, EVENT_NAME_IID = 10, EVENT_TRACK_UUID = 11 };
enum { EVENT_TYPE_BEGIN = 1, EVENT_TYPE_END = 2 };
enum { INTERNED_CATEGORIES = 1, INTERNED_EVENT_NAMES = 2, INTERNED_IID = 1, INTERNED_NAME = 2 };
enum { DESCRIPTOR_UUID = 1, DESCRIPTOR_PROCESS = 3, DESCRIPTOR_THREAD = 4 };
enum { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum { THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5 };
enum { BUNDLE_CPU = 1, BUNDLE_EVENT = 2 };
enum { FTRACE_TIMESTAMP = 1, FTRACE_PID = 2, FTRACE_SCHED_SWITCH = 4 };
enum {
	SWITCH_PREV_COMM = 1,
	SWITCH_PREV_PID,
	SWITCH_PREV_PRIO,
	SWITCH_PREV_STATE,
	SWITCH_NEXT_COMM,
	SWITCH_NEXT_PID,
	SWITCH_NEXT_PRIO,
};
enum { LOG_EVENTS = 1 };
enum {
	LOG_ID = 1,
	LOG_PID,
	LOG_TID,
	LOG_TIMESTAMP = 5,
	LOG_TAG,
	LOG_PRIORITY,
	LOG_MESSAGE,
};
enum { LOG_ID_DEFAULT = 0, LOG_ID_KERNEL = 7 };
enum { LOG_DEBUG = 3, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };
enum { QEMU_INFO_COMMAND = 1, QEMU_INFO_DIRECTORY = 2 };

/* PACKET_OWN: a message of these. */
enum { OWN_METADATA = 1, OWN_FUNCTION = 2, OWN_THREAD = 3 };
enum {
	METADATA_VERSION = 1,
	METADATA_CLOCK,
	METADATA_EXACT,
	METADATA_EXACT_REASON,
	METADATA_BANNER,
	METADATA_BUILD_ID,
	METADATA_WRITER,
};
enum {
	FUNCTION_IID = 1,
	FUNCTION_KEY,
	FUNCTION_VADDR,
	FUNCTION_MODULE,
	FUNCTION_SPACE,
	FUNCTION_NUMBER = 16,
	FUNCTION_MNEMONIC = 17,
};
enum {
	OWN_THREAD_ID = 1,
	OWN_THREAD_TID,
	OWN_THREAD_TGID,
	OWN_THREAD_PARENT,
	OWN_THREAD_COMM,
	OWN_THREAD_KERNEL,
	OWN_THREAD_ICOUNT,
	OWN_THREAD_START,
	OWN_THREAD_EXIT,
	OWN_THREAD_CREATOR,
	OWN_THREAD_EXIT_CODE,
};

/* TRACE_OWN: a message of one of these. */
enum { OWN_BLOCK = 1, OWN_INDEX = 2, OWN_TRAILER = 3 };
enum {
	BLOCK_NUMBER = 1,
	BLOCK_FIRST_ICOUNT,
	BLOCK_LAST_ICOUNT,
	BLOCK_FILE_BYTES,
	BLOCK_RAW_BYTES,
	BLOCK_CRC32,
	BLOCK_BEGINS,
	BLOCK_ENDS,
	BLOCK_SWITCH_COUNT,
	BLOCK_SWITCHES,
	BLOCK_THREAD,
	BLOCK_NOTE,
	BLOCK_OWN_CRC32 = 15, /* written last, whatever the numbers of those before it */
	BLOCK_CONSOLE_LINE = 16,
};
enum { CONSOLE_ICOUNT = 1, CONSOLE_THREAD, CONSOLE_SOURCE, CONSOLE_LEVEL, CONSOLE_TEXT };
enum { NOTE_KEY = 1, NOTE_VALUE = 2 };
enum {
	INDEX_BLOCKS = 1,
	INDEX_LAST_ICOUNT,
	INDEX_BEGINS,
	INDEX_ENDS,
	INDEX_SWITCHES,
	INDEX_OWN_CRC32 = 15,
};
enum { TRAILER_INDEX_OFFSET = 1, TRAILER_MAGIC = 2 };

#define DV_TRACE_MAGIC 0x4543415254564a44ull /* "DJVTRACE" as a little-endian word */
/* 7a 14 | 1a 12 | 09 offset(8) | 11 magic(8): the last bytes of a finished file. */
#define DV_TRACE_TRAILER_BYTES 22

/* Named limits for what a file may ask of a reader. */
#define DV_TRACE_MAX_BLOCK_RAW (64u << 20)
#define DV_TRACE_MAX_CPUS 4096u
#define DV_TRACE_MAX_CONSOLE_TEXT 4096u /* longer lines come in pieces */

#endif
