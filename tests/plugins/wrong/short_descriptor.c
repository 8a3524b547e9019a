/* Its descriptor ends before the operations. */
#include <stddef.h>

#include "right.h"

EXPORT_SINK_OF("short_descriptor", TIDE_SINK_ABI_MAJOR, offsetof(tide_sink, ops), right_connect, right_publish,
               right_ack, right_close)
