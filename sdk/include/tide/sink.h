/* SPDX-License-Identifier: Apache-2.0
 *
 * The binary interface between Tide Relay and a sink plugin, in C11.
 *
 * A plugin is a shared object that exports one function, tide_sink_v1(). It returns a descriptor: who the plugin is,
 * which options it takes, and four operations. The relay reads the outbox, renders templates, expands variables,
 * keeps the order, retries and commits offsets; a plugin only connects, publishes and acknowledges.
 *
 * The rules that a plugin keeps have numbers, R1 to R25. Each stands below where it applies, and all stand in
 * docs/abi.md; `tide-relay plugins test FILE.so` checks them and names the number of one that is broken.
 *
 * R7   Growth: fields are only ever appended within a major version. Whoever receives a struct reads struct_size (or
 *      the element size beside an array) first, walks arrays by it, and treats a missing tail as zero.
 * R8   Nothing leaves a plugin but what its functions return: no exception, no signal, no exit().
 * R9   Threads: the relay serialises all calls on one instance; successive calls may come from different threads. Calls
 *      on different instances run at the same time. Where only one can be connected, connect says TIDE_RETRY to others.
 * R13  Memory: each side frees what it allocated. What the relay passes is valid until the call returns, unless it is
 *      said otherwise: copy what is needed longer.
 *
 * Strings are UTF-8, carry their length, and are not NUL-terminated unless said so.
 */
#ifndef TIDE_SINK_H
#define TIDE_SINK_H

#include <stdint.h> /* NOLINT(modernize-deprecated-headers): this is C */

#ifdef __cplusplus
extern "C" {
#endif

#define TIDE_SINK_ABI_MAJOR 1u /* in the exported function's name: another major does not even resolve */
#define TIDE_SINK_ABI_MINOR 0u

#if defined(__GNUC__)
#define TIDE_SINK_EXPORT __attribute__((visibility("default")))
#else
#define TIDE_SINK_EXPORT
#endif

/* What became of one message, and what a call returns. int32_t, never an enum: an enum's size is the compiler's. */
#define TIDE_OK 0        /* of a call: done */
#define TIDE_STORED 0    /* of a message: the sink has it; the relay may commit its offset */
#define TIDE_RETRY 1     /* not now (outage, full, leader change): the relay backs off and sends again, without limit */
#define TIDE_REJECTED 2  /* of a message: it can never be stored; it goes to the dead letters and the rest flows on */
#define TIDE_FATAL 3     /* configuration or rights are wrong: the pipeline stops, says why and tries again slowly */
#define TIDE_RECONNECT 4 /* of publish and ack: the sink's server takes its leave; connect again at once, no outage */

/* Bytes with a length. data may be NULL only when size is 0. */
typedef struct tide_str {
  const char* data;
  uint64_t size;
} tide_str;

/* Log levels of tide_host.log. */
#define TIDE_LOG_DEBUG 0
#define TIDE_LOG_INFO 1
#define TIDE_LOG_WARN 2
#define TIDE_LOG_ERROR 3

/* The relay's side. It outlives every instance that was connected with it. */
typedef struct tide_host {
  uint32_t struct_size;
  uint32_t abi_minor; /* the relay's; a plugin may use what this minor defines */
  void* ctx;          /* passed back to the functions below */
  /* Writes one line to the relay's log, tagged with the pipeline. Any thread, from connect until close returns. text is
   * copied. R25: no secret option's value stands in it, nor in any error text. */
  void (*log)(void* ctx, int32_t level, tide_str text);
  /* A named extension table, or NULL where this relay lacks it. name is NUL-terminated. Any thread. */
  const void* (*get_extension)(void* ctx, const char* name);
} tide_host;

/* Where a failing call says why, for people: what was tried, on what, what the server said, what to do next.
 * R12: whatever call does not return TIDE_OK fills it: text (UTF-8, no NUL needed; truncated at a whole character
 * rather than overflowed) and size. Owned by the relay; not read after TIDE_OK. */
#define TIDE_ERROR_CAPACITY 1024u
typedef struct tide_error {
  uint32_t struct_size;
  uint32_t size;       /* bytes used in text */
  int64_t native_code; /* the sink's own error number, or 0 */
  char text[TIDE_ERROR_CAPACITY];
} tide_error;

/* Option types. */
#define TIDE_TYPE_STRING 1
#define TIDE_TYPE_INT 2  /* int64 */
#define TIDE_TYPE_BOOL 3 /* integer holds 0 or 1 */
#define TIDE_TYPE_JSON 4 /* any JSON; string holds its text */

/* Option flags. */
#define TIDE_OPTION_REQUIRED 1u
#define TIDE_OPTION_SECRET 2u   /* masked wherever configuration is shown */
#define TIDE_OPTION_TEMPLATE 4u /* a STRING with {variables}, rendered by the relay for each message */
#define TIDE_OPTION_WRITES 8u   /* a STRING: the file or folder that the sink writes. Set it for each: the relay
                                 * then keeps a pipeline that was set in the database below its own folder */
/* With TEMPLATE: events' values are put in as they are. Without it a value is made one token of a name: its dots, white
 * space, control characters, '*' and '>' become '_', so that no event can widen or break a subject. */
#define TIDE_OPTION_VERBATIM 16u

/* One row of the options table. The relay validates a sink's configuration against it, expands ${env:NAME}, masks
 * secrets and prints the reference. All strings are NUL-terminated and static. R5: names are unique and none of the
 * relay's own (those that `tide-relay plugins info` prints for every sink); a default is a value that the option would
 * accept; each has a description. */
typedef struct tide_option {
  const char* name; /* lower_case; a dot makes a group: "retry.max_ms" is {"retry": {"max_ms": …}} */
  int32_t type;
  uint32_t flags;
  const char* default_value; /* as it would be written in JSON without quotes; NULL: none */
  const char* description;   /* one line of Markdown, no '|' */
  int64_t min_value;         /* INT only; min == max == 0: unbounded */
  int64_t max_value;
  const char* choices; /* STRING only: allowed values separated by '|'; NULL: any */
} tide_option;

/* One option's value, in the order of the options table. Every option of the table is there. */
typedef struct tide_value {
  tide_str name;
  int32_t type;
  uint32_t is_set; /* 0: neither configured nor defaulted; string is empty, integer 0 */
  tide_str string; /* STRING: expanded. TEMPLATE: the text with what varies replaced by TIDE_UNKNOWN. JSON: its text */
  int64_t integer; /* INT, BOOL */
  /* TEMPLATE: where the pipeline routes by content, the other texts that the option can have, each as string is. */
  const tide_str* alternatives;
  uint64_t alternative_count;
} tide_value;

/* Each stands in a template option's value, at connect, for a variable whose value only an event will tell: one without
 * a dot (but for names that an administrator gave), and one that may be several tokens with dots between them. */
#define TIDE_UNKNOWN '\x1a'
#define TIDE_UNKNOWN_TOKENS '\x1c'

/* What connect gets. Valid until connect returns: copy what is needed longer. */
typedef struct tide_config {
  uint32_t struct_size;
  uint32_t value_size; /* bytes per element of values */
  const tide_value* values;
  uint64_t value_count;
  tide_str pipeline;    /* the pipeline's name, for messages to people */
  uint32_t deadline_ms; /* connect returns within this time, whatever the network does */
  uint32_t reserved;    /* 0 */
  /* Whatever the sink stored up to here was confirmed and committed; what is in doubt stands after it, if it was
   * stored at all. From tide_result.sink_position; 0: none known, see there. */
  uint64_t sink_position;
} tide_config;

typedef struct tide_header {
  tide_str name;
  tide_str value;
} tide_header;

/* One event, ready to send. Everything that it points to is valid until publish returns. */
typedef struct tide_message {
  uint64_t token;             /* names the message in tide_result; never 0 */
  tide_str key;               /* the idempotency key: the same each time this event is sent; 1 to 1024 bytes */
  tide_str payload;           /* the event's JSON, byte for byte as PostgreSQL prints its jsonb, or the format's body */
  const tide_str* fields;     /* the template options, rendered, in the order of the options table */
  uint64_t field_count;       /* a template option that is not set is an empty string */
  const tide_header* headers; /* the event's own headers, and the format's */
  uint64_t header_count;
  tide_str outbox;
  tide_str stream_table; /* the attached table's name, else the outbox's */
  tide_str op;
  int64_t outbox_id;
  int64_t created_at_us; /* microseconds since 1970-01-01 UTC */
  uint32_t maybe_sent;   /* 1: an earlier attempt may have stored it already; 0: certainly never sent before */
  uint32_t reserved;     /* 0 */
} tide_message;

typedef struct tide_batch {
  uint32_t struct_size;
  uint32_t message_size; /* bytes per element of messages */
  const tide_message* messages;
  uint64_t count; /* 1 to 10000 */
} tide_batch;

/* Result flags. */
#define TIDE_RESULT_DUPLICATE 1u /* stored, but by an earlier message of the same key */

/* What became of one accepted message.
 *
 * R17  Exactly one for each accepted token, in any order, and none for any other.
 * R18  status is one of the four; what was not stored says why in error.
 * R19  One more is allowed, by the first ack after connect: with token 0 and TIDE_STORED it names no message and says
 *      where the sink stands now, in sink_position. A plugin gives it when tide_config.sink_position was 0, or can't be
 *      a position of this sink. The relay makes that first call before it publishes anything, and commits the position
 *      before, too: so whatever a pipeline has in doubt stands after a position that is known, from its first message
 *      on. */
typedef struct tide_result {
  uint64_t token; /* 0: see above */
  int32_t status; /* TIDE_STORED, TIDE_RETRY, TIDE_REJECTED or TIDE_FATAL */
  uint32_t flags;
  int64_t native_code; /* the sink's own error number, or 0 */
  /* STORED: where the sink keeps it. R24: a number that grows from message to message; less, where something stands
   * before it that an earlier instance may have sent and this one was not given yet. 0: the sink does not count. */
  uint64_t sink_position;
  tide_str error; /* why it was not stored; valid until the next call on the instance */
} tide_result;

/* The operations. An instance is one connection of one pipeline. A call can't be ended from outside: of one that lasts
 * beyond its limit below the relay says that the plugin hangs, and the pipeline stands still until it returns;
 * `tide-relay plugins test` fails it. */
typedef struct tide_ops {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */

  /* Connects and checks that publishing can work (rights, stream, limits).
   * R10: returns within config->deadline_ms, whatever the network does. The relay gives 5 s, and says 5 s after the
   *      deadline that it hangs; the test gives 2 s to 5 s, and fails it 2 s after the deadline.
   * R11: returns TIDE_OK and sets *instance; or TIDE_RETRY or TIDE_FATAL, fills *err and leaves *instance alone.
   * R22: what failed leaves nothing behind, either: no thread, no descriptor.
   * R23: a sink that is not there, or does not answer, is TIDE_RETRY: an outage is waited for without limit. */
  int32_t (*connect)(const tide_host* host, const tide_config* config, void** instance, tide_error* err);

  /* Sends the first *accepted messages of the batch, at least one message long.
   * R14: in order, and without waiting for the sink's word on them; *accepted is never more than batch->count. The
   *      relay says after 10 s that it hangs; the test fails it after 7 s.
   * R15: fewer than batch->count with TIDE_OK means: not now; the relay pulls acks, then comes again with the rest. An
   *      instance never refuses for ever: with all results pulled it soon takes at least one message.
   * TIDE_RETRY or TIDE_FATAL (with err) means that the instance is broken: the relay closes it; what has no result by
   * then is sent again to the next instance. TIDE_RECONNECT (with err) ends it in the same way, and the relay connects
   * again without backing off. */
  int32_t (*publish)(void* instance, const tide_batch* batch, uint64_t* accepted, tide_error* err);

  /* Hands over results.
   * R16: waits up to timeout_ms for at least one (0: only looks) and hands over at most capacity of them; *count says
   *      how many. out's elements are result_size bytes apart; it has room for at least one. The relay says 5 s after
   *      the timeout that it hangs; the test fails it 2 s after the timeout.
   * R20: each accepted message gets its result while the instance lives: when the sink stays silent for too long, the
   *      result is TIDE_RETRY. The relay warns of an instance that says nothing for 10 seconds with messages in flight.
   * The relay also calls it about once a second when nothing is in flight, so that keep-alives can run here and a
   * broken connection is noticed. TIDE_RETRY, TIDE_FATAL or TIDE_RECONNECT (with err) ends the instance, as above;
   * *count results are still handed over. */
  int32_t (*ack)(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity, uint32_t timeout_ms,
                 uint64_t* count, tide_error* err);

  /* Frees the instance. Called exactly once, last. A token without a result means "unknown".
   * R21: returns within deadline_ms, with messages in flight as well. The relay gives 5 s, and says 5 s after the
   *      deadline that it hangs; the test gives 2 s to 5 s, and fails it 2 s after the deadline.
   * R22: joins every thread that the instance started and closes every descriptor. What a library keeps once for the
   *      whole process may stay. */
  void (*close)(void* instance, uint32_t deadline_ms);
} tide_ops;

/* Capabilities. R6: a relay ignores what it does not know in the low 32 bits, and refuses a plugin that sets an unknown
 * bit in the high 32. These two tell people of the sink: a relay treats it the same with and without them. */
#define TIDE_CAP_DEDUPLICATES 1ull /* the sink drops a second message with the same key */
#define TIDE_CAP_ORDERED 2ull      /* the sink keeps the order in which one instance published */

/* The descriptor: static, never freed, the same at each call. R4: the sizes are those of the header that the plugin was
 * built with; the four texts are not empty; id is the file's name without ".so". */
typedef struct tide_sink {
  uint32_t struct_size;
  uint32_t abi_major; /* TIDE_SINK_ABI_MAJOR the plugin was built with */
  uint32_t abi_minor;
  uint32_t option_size;    /* sizeof(tide_option) the plugin was built with */
  const char* id;          /* lower_case, the file's name without ".so" */
  const char* sink_types;  /* values of "sink_type" that this plugin serves, separated by '|' */
  const char* version;     /* of the plugin */
  const char* description; /* one line */
  uint64_t capabilities;
  const tide_option* options; /* option_count rows */
  uint64_t option_count;
  const tide_ops* ops;
  /* A named extension table of the plugin, or NULL. May be NULL itself. name is NUL-terminated. Any thread, at any time
   * after tide_sink_v1(), also beside other calls; the table is static, never freed, and the same for each call. */
  const void* (*get_extension)(const char* name);
} tide_sink;

/* R1: any thread; the same descriptor at each call; no side effect (static constructors have none, either: no thread,
 *     no descriptor, no output); must not fail.
 * R2: the one exported symbol: hidden visibility and a version script, so that no library inside the plugin mixes with
 *     the relay's.
 * R3: linked with -z,nodelete, since libraries leave threads and exit handlers behind, and with -z,defs. */
TIDE_SINK_EXPORT const tide_sink* tide_sink_v1(void);
typedef const tide_sink* (*tide_sink_v1_fn)(void);
#define TIDE_SINK_ENTRY "tide_sink_v1"

#ifdef __cplusplus
}
#endif

#endif
