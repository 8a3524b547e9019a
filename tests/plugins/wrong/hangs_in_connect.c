/* Its connect() waits for ever. */
#include <unistd.h>

#include "right.h"

static int32_t hang(const tide_host* host, const tide_config* config, void** instance, tide_error* err) {
  UNUSED(host), UNUSED(config), UNUSED(instance), UNUSED(err);
  while (pause() != 0) continue;
  return TIDE_RETRY;
}

EXPORT_SINK("hangs_in_connect", hang, right_publish, right_ack, right_close)
