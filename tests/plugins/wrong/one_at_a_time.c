/* Right, too: its sink has room for one instance, and it says so. */
#include <stdatomic.h>

#include "right.h"

static atomic_flag taken = ATOMIC_FLAG_INIT;

static int32_t connect_one(const tide_host* host, const tide_config* config, void** instance, tide_error* err) {
  if (!atomic_flag_test_and_set(&taken)) return right_connect(host, config, instance, err);
  memcpy(err->text, "in use", 6);
  err->size = 6;
  return TIDE_RETRY;
}

static void leave(void* instance, uint32_t deadline_ms) {
  right_close(instance, deadline_ms);
  atomic_flag_clear(&taken);
}

EXPORT_SINK("one_at_a_time", connect_one, right_publish, right_ack, leave)
