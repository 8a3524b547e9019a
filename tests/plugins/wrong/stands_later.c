/* It says at each ack where it stands, not only at the first. */
#include "right.h"

static int32_t ack_standing(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity,
                            uint32_t timeout_ms, uint64_t* count, tide_error* err) {
  const int32_t status = right_ack(instance, out, result_size, capacity - 1, timeout_ms, count, err);
  memset((char*)out + (*count)++ * result_size, 0, result_size);
  return status;
}

EXPORT_SINK("stands_later", right_connect, right_publish, ack_standing, right_close)
