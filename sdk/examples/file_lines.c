/* A sink in C: appends each event's payload to a file, one a line. An event counts as stored once the file is synced.
 * What a relay that was killed had written but not confirmed is written again: at least once, in order. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <tide/sink.h>
#include <unistd.h>

enum { CAPACITY = 1024 };

/* One connection: the file, and the tokens that were written and have no result yet. */
typedef struct lines {
  int fd;
  size_t waiting;
  uint64_t tokens[CAPACITY];
} lines;

static int32_t fail(tide_error* err, int32_t status, const char* what) {
  const int number = errno;
  const int size = snprintf(err->text, TIDE_ERROR_CAPACITY, "%s: %s", what, strerror(number));
  err->size = (uint32_t)(size < (int)TIDE_ERROR_CAPACITY ? size : (int)TIDE_ERROR_CAPACITY - 1);
  err->native_code = number;
  return status;
}

static const tide_option options[] = {
    {"path", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED | TIDE_OPTION_WRITES, NULL, "The file that events are appended to",
     0, 0, NULL},
};

static int32_t connect_to(const tide_host* host, const tide_config* config, void** instance, tide_error* err) {
  const tide_str path = config->values[0].string; /* in the order of the options table */
  char* name = strndup(path.data, (size_t)path.size);
  lines* self = calloc(1, sizeof *self);
  (void)host;
  if (name != NULL && self != NULL) {
    self->fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (self->fd >= 0) {
      free(name);
      *instance = self;
      return TIDE_OK;
    }
  }
  fail(err, TIDE_RETRY, name == NULL ? "no memory" : name);
  free(name);
  free(self);
  return errno == EACCES || errno == ENOENT || errno == EISDIR ? TIDE_FATAL : TIDE_RETRY;
}

static int32_t publish(void* instance, const tide_batch* batch, uint64_t* accepted, tide_error* err) {
  lines* self = instance;
  for (*accepted = 0; *accepted < batch->count && self->waiting < CAPACITY; ++*accepted) {
    /* Elements are message_size bytes apart, which may be more than this build knows. */
    const tide_message* message = (const void*)((const char*)batch->messages + (size_t)*accepted * batch->message_size);
    const off_t before = lseek(self->fd, 0, SEEK_END);
    const struct iovec line[] = {{(void*)(uintptr_t)message->payload.data, (size_t)message->payload.size},
                                 {(void*)(uintptr_t) "\n", 1}};
    errno = ENOSPC; /* a write that comes short sets nothing */
    if (writev(self->fd, line, 2) != (ssize_t)(message->payload.size + 1)) {
      const int32_t status = fail(err, TIDE_RETRY, "the file takes no more");
      if (before >= 0 && ftruncate(self->fd, before) != 0) return status; /* half a line stays */
      return status;
    }
    self->tokens[self->waiting++] = message->token;
  }
  return TIDE_OK;
}

static int32_t ack(void* instance, tide_result* out, uint32_t result_size, uint64_t capacity, uint32_t timeout_ms,
                   uint64_t* count, tide_error* err) {
  lines* self = instance;
  (void)timeout_ms; /* nothing is ever to be waited for */
  *count = 0;
  if (self->waiting == 0) return TIDE_OK;
  if (fdatasync(self->fd) != 0) return fail(err, TIDE_RETRY, "the file can not be synced");
  for (; *count < capacity && *count < self->waiting; ++*count) {
    tide_result* result = (void*)((char*)out + (size_t)*count * result_size);
    memset(result, 0, result_size);
    result->token = self->tokens[*count];
    result->status = TIDE_STORED;
  }
  self->waiting -= (size_t)*count;
  memmove(self->tokens, self->tokens + *count, self->waiting * sizeof self->tokens[0]);
  return TIDE_OK;
}

static void close_it(void* instance, uint32_t deadline_ms) {
  lines* self = instance;
  (void)deadline_ms;
  close(self->fd);
  free(self);
}

static const tide_ops ops = {sizeof ops, 0, connect_to, publish, ack, close_it};

static const tide_sink sink = {sizeof sink,
                               TIDE_SINK_ABI_MAJOR,
                               TIDE_SINK_ABI_MINOR,
                               sizeof(tide_option),
                               "file_lines", /* the file's name without ".so" */
                               "file_lines", /* what a pipeline names as its sink_type */
                               "0.1.0",
                               "Appends events to a file, one a line",
                               TIDE_CAP_ORDERED,
                               options,
                               sizeof options / sizeof options[0],
                               &ops,
                               NULL};

const tide_sink* tide_sink_v1(void) {
  return &sink;
}
