/* It leaves a function of its own visible to everybody. */
#include "right.h"

TIDE_SINK_EXPORT int compress(void);
int compress(void) {
  return 0;
}

EXPORT_SINK("exports_too_much", right_connect, right_publish, right_ack, right_close)
