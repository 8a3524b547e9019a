// Prints how long a committed event takes to reach a subscriber, and how fast a backlog drains, on this machine with
// real servers. Nothing is asserted: machines are noisy.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/postgres.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using namespace tide::test;

double ms(Clock::duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

double percentile(std::vector<double>& values, double p) {
  const auto at = static_cast<std::size_t>(p * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

}  // namespace

int main() {
  const PostgresServer postgres({{"synchronous_commit = off"}, false});
  const NatsServer nats;
  JetStream js(nats.url());
  js.create_stream("BENCH", {"bench.>"});
  const auto url = postgres.url();
  if (run({variable("TIDE_RELAY"), "init", "--postgres-url", url}).exit_code != 0) return 1;
  tide::pg::Session session({url, "bench", std::chrono::minutes(5)});
  session.query("SELECT tide.outbox_create('o')");
  session.query("SELECT tide.relay_set_outbox('p', 'o', 'g', '{\"sink_type\": \"nats\", \"url\": \"" + nats.url() +
                "\", \"subject\": \"bench.{op}\"}'); SELECT tide.relay_enable('p')");

  // A backlog.
  constexpr int kBacklog = 300'000;
  session.query(
      "INSERT INTO tide.outbox_messages (outbox, payload, dedup_key) SELECT 'o',"
      " jsonb_build_object('n', n, 'pad', repeat('x', 220)), 'k' || n FROM generate_series(1, " +
      std::to_string(kBacklog) + ") n");
  const auto begin = Clock::now();
  Process relay({variable("TIDE_RELAY"), "run", "--postgres-url", url});
  if (!js.wait_for_messages("BENCH", kBacklog, std::chrono::minutes(2))) return 1;
  const auto drained = ms(Clock::now() - begin);
  std::printf("backlog of %d events of 256 B drained in %.0f ms from the relay's start: %.0f events/s\n", kBacklog,
              drained, kBacklog / drained * 1000);

  // A quiet relay, one event at a time.
  auto subscription = js.subscribe("bench.>");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  std::vector<double> latencies;
  for (int i = 0; i < 500; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the load: 200 events a second
    session.query("SELECT tide.outbox_publish('o', '{\"pad\": \"" + std::string(220, 'x') + "\"}')");
    const auto committed = Clock::now();
    if (!subscription.next(std::chrono::seconds(5))) return 1;
    latencies.push_back(ms(Clock::now() - committed));
  }
  std::printf("commit to subscriber, quiet relay: p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", percentile(latencies, 0.5),
              percentile(latencies, 0.99), *std::max_element(latencies.begin(), latencies.end()));
  return 0;
}
