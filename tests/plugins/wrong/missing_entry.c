/* A shared object that is no plugin. */
#include "right.h"

TIDE_SINK_EXPORT int something_else(void);
int something_else(void) {
  return 0;
}
