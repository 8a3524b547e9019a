/* It gives results for tokens that it was never given. */
#include "right.h"

static int32_t ack_others(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity,
                          uint32_t timeout_ms, uint64_t* count, tide_error* err) {
  const int32_t status = right_ack(instance, out, result_size, capacity, timeout_ms, count, err);
  for (uint64_t i = 0; i < *count; ++i) ((tide_result*)(void*)((char*)out + i * result_size))->token += 50;
  return status;
}

EXPORT_SINK("acks_unknown", right_connect, right_publish, ack_others, right_close)
