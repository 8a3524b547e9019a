/* Right, too: it tells the log of each batch that is larger than all before. */
#include <inttypes.h>
#include <stdio.h>

#include "right.h"

typedef struct counting {
  right sink; /* first: what is right takes the whole for it */
  const tide_host* host;
  uint64_t largest;
} counting;

static int32_t connect_counting(const tide_host* host, const tide_config* config, void** instance, tide_error* err) {
  counting* self = (counting*)calloc(1, sizeof(counting));
  UNUSED(config), UNUSED(err);
  if (self == NULL) return TIDE_RETRY;
  self->host = host;
  *instance = self;
  return TIDE_OK;
}

static int32_t count(void* instance, const tide_batch* batch, uint64_t* accepted, tide_error* err) {
  counting* self = (counting*)instance;
  if (batch->count > self->largest) {
    char text[64];
    const int size = snprintf(text, sizeof text, "a batch of %" PRIu64 " messages", batch->count);
    const tide_str line = {text, (uint64_t)size};
    self->largest = batch->count;
    self->host->log(self->host->ctx, TIDE_LOG_INFO, line);
  }
  return right_publish(instance, batch, accepted, err);
}

EXPORT_SINK("counts_batches", connect_counting, count, right_ack, right_close)
