/* The C header compiles alone. */
#include <tide/sink.h>

int main(void) {
  return (int)(TIDE_SINK_ABI_MAJOR - 1u);
}
