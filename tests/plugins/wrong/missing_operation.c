/* It can not close. */
#include "right.h"

EXPORT_SINK("missing_operation", right_connect, right_publish, right_ack, NULL)
