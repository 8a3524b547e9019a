/* A plugin that was built with the first header of this ABI major. It rejects each event whose payload is "no". */
#include <stdlib.h>
#include <string.h>

#include "sink-1.0.h"

typedef struct instance {
  uint64_t count;
  uint64_t tokens[16];
  uint32_t rejected[16];
} instance;

static int32_t connect_it(const tide_host* host, const tide_config* config, void** out, tide_error* err) {
  const char* second = (const char*)config->values + config->value_size;
  const tide_value* volume = (const tide_value*)(const void*)second;
  static const char hello[] = "hello from 1.0";
  if (volume->integer != 11) {
    memcpy(err->text, "no volume", 9);
    err->size = 9;
    return TIDE_FATAL;
  }
  host->log(host->ctx, TIDE_LOG_INFO, (tide_str){hello, sizeof hello - 1});
  *out = calloc(1, sizeof(instance));
  return *out == NULL ? TIDE_RETRY : TIDE_OK;
}

static int32_t publish(void* it, const tide_batch* batch, uint64_t* accepted, tide_error* err) {
  instance* self = it;
  (void)err;
  for (*accepted = 0; *accepted < batch->count && self->count < 16; ++*accepted) {
    const char* at = (const char*)batch->messages + *accepted * batch->message_size;
    const tide_message* message = (const tide_message*)(const void*)at;
    self->rejected[self->count] = message->payload.size == 2 && memcmp(message->payload.data, "no", 2) == 0;
    self->tokens[self->count++] = message->token;
  }
  return TIDE_OK;
}

static int32_t ack(void* it, tide_result* out, uint32_t result_size, uint64_t capacity, uint32_t timeout_ms,
                   uint64_t* count, tide_error* err) {
  instance* self = it;
  (void)capacity, (void)timeout_ms, (void)err;
  for (*count = 0; *count < self->count; ++*count) {
    tide_result* result = (tide_result*)(void*)((char*)out + *count * result_size);
    memset(result, 0, result_size);
    result->token = self->tokens[*count];
    result->status = self->rejected[*count] ? TIDE_REJECTED : TIDE_STORED;
    if (result->status == TIDE_REJECTED) result->error = (tide_str){"it says no", 10};
  }
  self->count = 0;
  return TIDE_OK;
}

static void close_it(void* it, uint32_t deadline_ms) {
  (void)deadline_ms;
  free(it);
}

static const tide_option options[] = {
    {"name", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED, NULL, "First", 0, 0, NULL},
    {"volume", TIDE_TYPE_INT, 0, "11", "Second, so that its place tells the size of a row", 0, 20, NULL},
};
static const tide_ops ops = {sizeof ops, 0, connect_it, publish, ack, close_it};
static const tide_sink sink = {sizeof sink, 1,       0,     sizeof(tide_option), "frozen",
                               "frozen",    "1.0.0", "Old", TIDE_CAP_ORDERED,    options,
                               2,           &ops,    NULL};

const tide_sink* tide_sink_v1(void) {
  return &sink;
}
