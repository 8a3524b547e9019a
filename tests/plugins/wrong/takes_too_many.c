/* It says that it took more messages than it was given. */
#include "right.h"

static int32_t take(void* instance, const tide_batch* batch, uint64_t* accepted, tide_error* err) {
  const int32_t status = right_publish(instance, batch, accepted, err);
  *accepted = batch->count + 1;
  return status;
}

EXPORT_SINK("takes_too_many", right_connect, take, right_ack, right_close)
