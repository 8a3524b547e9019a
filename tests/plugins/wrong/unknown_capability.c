/* It needs what no relay has. */
#include "right.h"

EXPORT_SINK_WITH("unknown_capability", TIDE_SINK_ABI_MAJOR, sizeof(tide_sink), 1ull << 63, NULL, 0, right_connect,
                 right_publish, right_ack, right_close)
