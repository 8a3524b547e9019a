// C++ without the guards of sink.hpp: an exception leaves its publish().
#include <stdexcept>

#include "right.h"

namespace {

int32_t publish(void* /*instance*/, const tide_batch* /*batch*/, uint64_t* /*accepted*/, tide_error* /*err*/) {
  throw std::runtime_error("not caught");
}

}  // namespace

EXPORT_SINK("throws", right_connect, publish, right_ack, right_close)
