/* It crashes before it was asked anything. */
#include "right.h"

__attribute__((constructor)) static void crash(void) {
  *(volatile int*)(uintptr_t)16 = 1;
}

EXPORT_SINK("crashes_at_load", right_connect, right_publish, right_ack, right_close)
