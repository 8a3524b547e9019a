/* It crashes before it was asked anything. */
#include <signal.h>

#include "right.h"

__attribute__((constructor)) static void crash(void) {
  raise(SIGSEGV);
}

EXPORT_SINK("crashes_at_load", right_connect, right_publish, right_ack, right_close)
