/* Each instance leaves a thread behind. */
#include <pthread.h>
#include <unistd.h>

#include "right.h"

static void* wait_for_ever(void* unused) {
  while (1) pause();
  return unused;
}

static int32_t connect_it(const tide_host* host, const tide_config* config, void** instance, tide_error* err) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, wait_for_ever, NULL) == 0) pthread_detach(thread);
  return right_connect(host, config, instance, err);
}

EXPORT_SINK("leaks_threads", connect_it, right_publish, right_ack, right_close)
