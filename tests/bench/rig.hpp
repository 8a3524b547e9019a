// Servers of its own, an outbox with a backlog, and what drains it: the relay, or the bare loop. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/postgres.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::bench {

struct Drain {
  double per_second = 0;  // events, from the first that was stored to the last
  double cpu_us = 0;      // of the process that drained, per event, with its start and end
};

// What a stream holds, by its own clock.
struct Stored {
  double messages = 0;
  double first = 0;  // seconds since 1970
  double last = 0;
  [[nodiscard]] double per_second() const { return (messages - 1) / (last - first); }
};

class Rig {
 public:
  Rig();

  // A new outbox with an enabled pipeline, both of this name, into a stream of this name in capitals.
  void create(const std::string& name);
  void drop(const std::string& name);
  void set_pipeline(const std::string& name, const std::string& outbox);  // into a stream of its own
  void fill(const std::string& outbox, int events, int bytes);

  // From the earliest event on, into an empty stream. `count` of them for the bare loop, all for the relay.
  Drain drain_by_relay(const std::string& name);
  Drain drain_by_bare_loop(const std::string& name, int count);
  // What the two above begin with: the pipeline at the earliest event, and its stream empty.
  void rewind(const std::string& name, const std::string& outbox = {});

  std::string outbox_id(const std::string& outbox);
  std::unique_ptr<test::Process> start_relay(bool once = false);
  Stored stored(const std::string& stream);

  pg::Session& sql() { return *session_; }
  const test::PostgresServer& postgres() const { return postgres_; }
  const test::NatsServer& nats() const { return nats_; }
  const std::string& url() const { return url_; }
  test::JetStream& js() { return js_; }

 private:
  void drop_pipeline(const std::string& name);

  test::PostgresServer postgres_;
  test::NatsServer nats_{"authorization { timeout: 60 }"};  // a relay under callgrind takes its time
  test::JetStream js_;
  std::string url_;
  std::unique_ptr<pg::Session> session_;
};

std::string stream_of(const std::string& name);

// Of all children that have ended, user and system.
double children_cpu_seconds();
// Of one that runs.
double cpu_seconds(pid_t pid);
// Its resident memory now, in MiB; 0 when it has ended.
double resident_mib(pid_t pid);

}  // namespace tide::bench
