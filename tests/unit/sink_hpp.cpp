// The C++ header compiles alone, and twice.
#include <tide/sink.hpp>

int main() {
  return static_cast<int>(TIDE_SINK_ABI_MAJOR - 1u);
}
