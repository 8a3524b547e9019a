/* Its results have a status that does not exist. */
#include "right.h"

static int32_t ack_oddly(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity, uint32_t timeout_ms,
                         uint64_t* count, tide_error* err) {
  const int32_t status = right_ack(instance, out, result_size, capacity, timeout_ms, count, err);
  for (uint64_t i = 0; i < *count; ++i) ((tide_result*)(void*)((char*)out + i * result_size))->status = 9;
  return status;
}

EXPORT_SINK("wrong_status", right_connect, right_publish, ack_oddly, right_close)
