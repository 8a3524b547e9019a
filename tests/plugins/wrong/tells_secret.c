/* It logs its password. */
#include "right.h"

static const tide_option options[] = {
    {"password", TIDE_TYPE_STRING, TIDE_OPTION_SECRET, NULL, "What opens its server", 0, 0, NULL}};

static int32_t connect_loudly(const tide_host* host, const tide_config* config, void** instance, tide_error* err) {
  host->log(host->ctx, TIDE_LOG_INFO, config->values[0].string);
  return right_connect(host, config, instance, err);
}

EXPORT_SINK_WITH("tells_secret", TIDE_SINK_ABI_MAJOR, sizeof(tide_sink), 0, options, 1, connect_loudly, right_publish,
                 right_ack, right_close)
