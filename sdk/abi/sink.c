/* Every type of the interface, for a comparison with what was recorded in sink-1.0.abi. */
#include <tide/sink.h>

static const tide_ops ops;
static const tide_sink sink = {.ops = &ops};

const tide_sink* tide_sink_v1(void) {
  return &sink;
}
