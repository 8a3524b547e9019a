/* Its positions fall from message to message. */
#include "right.h"

static int32_t ack_falling(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity,
                           uint32_t timeout_ms, uint64_t* count, tide_error* err) {
  const int32_t status = right_ack(instance, out, result_size, capacity, timeout_ms, count, err);
  for (uint64_t i = 0; i < *count; ++i) {
    tide_result* result = (tide_result*)(void*)((char*)out + i * result_size);
    result->sink_position = 1000000 - result->token;
  }
  return status;
}

EXPORT_SINK("goes_back", right_connect, right_publish, ack_falling, right_close)
