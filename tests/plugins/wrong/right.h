/* A sink that does everything right and keeps nothing. Each file here includes it, and does one thing wrong. */
#include <stdlib.h>
#include <string.h>
#include <tide/sink.h>

#define UNUSED(x) ((void)(x))
#define CAPACITY 1000

typedef struct right {
  uint64_t waiting;
  uint64_t tokens[CAPACITY];
} right;

static inline int32_t right_connect(const tide_host* host, const tide_config* config, void** instance,
                                    tide_error* err) {
  UNUSED(host), UNUSED(config), UNUSED(err);
  *instance = calloc(1, sizeof(right));
  return *instance == NULL ? TIDE_RETRY : TIDE_OK;
}

static inline int32_t right_publish(void* instance, const tide_batch* batch, uint64_t* accepted, tide_error* err) {
  right* self = (right*)instance;
  UNUSED(err);
  for (*accepted = 0; *accepted < batch->count && self->waiting < CAPACITY; ++*accepted) {
    const char* message = (const char*)batch->messages + *accepted * batch->message_size;
    memcpy(&self->tokens[self->waiting++], message, sizeof(uint64_t)); /* the token comes first */
  }
  return TIDE_OK;
}

static inline int32_t right_ack(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity,
                                uint32_t timeout_ms, uint64_t* count, tide_error* err) {
  right* self = (right*)instance;
  UNUSED(timeout_ms), UNUSED(err);
  for (*count = 0; *count < capacity && *count < self->waiting; ++*count) {
    const tide_result result = {self->tokens[*count], TIDE_STORED, 0, 0, 0, {NULL, 0}};
    char* to = (char*)out + *count * result_size;
    memset(to, 0, result_size);
    memcpy(to, &result, sizeof result);
  }
  self->waiting -= *count;
  memmove(self->tokens, self->tokens + *count, self->waiting * sizeof self->tokens[0]);
  return TIDE_OK;
}

static inline void right_close(void* instance, uint32_t deadline_ms) {
  UNUSED(deadline_ms);
  free(instance);
}

/* Exports the sink, with what is wrong in place of what is right. */
#define EXPORT_SINK_WITH(id, major, size, capabilities, options, option_count, connect, publish, ack, close) \
  static const tide_ops ops = {sizeof(tide_ops), 0, connect, publish, ack, close};                           \
  static const tide_sink sink = {size,                                                                       \
                                 major,                                                                      \
                                 0,                                                                          \
                                 sizeof(tide_option),                                                        \
                                 id,                                                                         \
                                 id,                                                                         \
                                 "1.0.0",                                                                    \
                                 "A sink that is wrong in one way",                                          \
                                 capabilities,                                                               \
                                 options,                                                                    \
                                 option_count,                                                               \
                                 &ops,                                                                       \
                                 NULL};                                                                      \
  const tide_sink* tide_sink_v1(void) {                                                                      \
    return &sink;                                                                                            \
  }
#define EXPORT_SINK_OF(id, major, size, connect, publish, ack, close) \
  EXPORT_SINK_WITH(id, major, size, 0, NULL, 0, connect, publish, ack, close)
#define EXPORT_SINK(id, connect, publish, ack, close) \
  EXPORT_SINK_OF(id, TIDE_SINK_ABI_MAJOR, sizeof(tide_sink), connect, publish, ack, close)
