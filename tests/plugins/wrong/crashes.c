/* It aborts with its first message. */
#include "right.h"

static int32_t crash(void* instance, const tide_batch* batch, uint64_t* accepted, tide_error* err) {
  UNUSED(instance), UNUSED(batch), UNUSED(accepted), UNUSED(err);
  abort();
}

EXPORT_SINK("crashes", right_connect, crash, right_ack, right_close)
