/* It gives each result twice. */
#include "right.h"

static int32_t ack_twice(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity, uint32_t timeout_ms,
                         uint64_t* count, tide_error* err) {
  const int32_t status = right_ack(instance, out, result_size, capacity / 2, timeout_ms, count, err);
  memcpy((char*)out + *count * result_size, out, *count * result_size);
  *count *= 2;
  return status;
}

EXPORT_SINK("acks_twice", right_connect, right_publish, ack_twice, right_close)
