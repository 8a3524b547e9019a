/* Its close() does not free. */
#include "right.h"

static void forget(void* instance, uint32_t deadline_ms) {
  UNUSED(instance), UNUSED(deadline_ms);
}

EXPORT_SINK("leaks_instances", right_connect, right_publish, right_ack, forget)
