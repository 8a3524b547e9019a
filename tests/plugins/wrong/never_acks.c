/* It takes messages and says nothing about them. */
#include "right.h"

static int32_t say_nothing(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity,
                           uint32_t timeout_ms, uint64_t* count, tide_error* err) {
  UNUSED(instance), UNUSED(out), UNUSED(result_size), UNUSED(capacity), UNUSED(timeout_ms), UNUSED(err);
  *count = 0;
  return TIDE_OK;
}

EXPORT_SINK("never_acks", right_connect, right_publish, say_nothing, right_close)
