/* Its descriptor is of another major. */
#include "right.h"

EXPORT_SINK_OF("wrong_major", TIDE_SINK_ABI_MAJOR + 1, sizeof(tide_sink), right_connect, right_publish, right_ack,
               right_close)
