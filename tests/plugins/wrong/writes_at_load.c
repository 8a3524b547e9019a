/* It greets before it was asked anything. */
#include <stdio.h>

#include "right.h"

__attribute__((constructor)) static void greet(void) {
  puts("here I am");
}

EXPORT_SINK("writes_at_load", right_connect, right_publish, right_ack, right_close)
