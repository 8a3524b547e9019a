/* It has stored everything, whether its server is there or not. */
#include "right.h"

static const tide_option options[] = {{"url", TIDE_TYPE_STRING, 0, NULL, "Its server", 0, 0, NULL}};

EXPORT_SINK_WITH("stores_nowhere", TIDE_SINK_ABI_MAJOR, sizeof(tide_sink), 0, options, 1, right_connect, right_publish,
                 right_ack, right_close)
