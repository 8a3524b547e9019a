/* Its close() waits for ever when messages are in flight. */
#include <unistd.h>

#include "right.h"

static void hang(void* instance, uint32_t deadline_ms) {
  while (((right*)instance)->waiting > 0) pause();
  right_close(instance, deadline_ms);
}

EXPORT_SINK("hangs_in_close", right_connect, right_publish, right_ack, hang)
