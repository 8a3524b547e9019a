/* Each instance leaves a descriptor open. */
#include <fcntl.h>

#include "right.h"

static int32_t connect_it(const tide_host* host, const tide_config* config, void** instance, tide_error* err) {
  if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) return TIDE_RETRY;
  return right_connect(host, config, instance, err);
}

EXPORT_SINK("leaks_descriptors", connect_it, right_publish, right_ack, right_close)
