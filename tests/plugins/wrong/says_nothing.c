/* It fails without a word. */
#include "right.h"

static int32_t fail(const tide_host* host, const tide_config* config, void** instance, tide_error* err) {
  UNUSED(host), UNUSED(config), UNUSED(instance), UNUSED(err);
  return TIDE_RETRY;
}

EXPORT_SINK("says_nothing", fail, right_publish, right_ack, right_close)
