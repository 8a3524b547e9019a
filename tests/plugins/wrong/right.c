#include "right.h"

EXPORT_SINK("right", right_connect, right_publish, right_ack, right_close)
