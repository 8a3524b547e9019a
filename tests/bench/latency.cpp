// How long it takes from the end of an event's commit until a subscriber has it.
#include <charconv>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "bench.hpp"
#include "rig.hpp"

namespace tide::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string summary(const std::vector<double>& ms) {
  char text[128];
  std::snprintf(text, sizeof text, "p50 %.2f ms, p99 %.2f ms, greatest %.2f ms", percentile(ms, 0.5),
                percentile(ms, 0.99), percentile(ms, 1));
  return text;
}

std::size_t number_of(const std::string& payload) {
  const auto at = payload.find("\"i\": ");
  if (at == std::string::npos) throw std::runtime_error("not an event of this benchmark: " + payload);
  std::size_t number = 0;
  std::from_chars(payload.data() + at + 5, payload.data() + payload.size(), number);
  return number;
}

// Commits `batch` events each `pause`, and returns how long each took to arrive, in milliseconds.
std::vector<double> measure(Rig& rig, std::size_t count, std::size_t batch, microseconds pause) {
  auto subscription = rig.js().subscribe("latency.>");
  std::vector<Clock::time_point> committed(count);
  std::vector<Clock::time_point> arrived(count);
  std::jthread publisher([&] {
    pg::Session session({rig.url(), "bench", seconds(30)});
    session.query("SET synchronous_commit = off");
    const std::string sql =
        "INSERT INTO tide.outbox_messages (outbox, payload) SELECT 'latency', jsonb_build_object('i', n, 'pad', "
        "repeat('x', 220)) FROM generate_series($1::bigint, $2::bigint) n";
    auto next = Clock::now();
    for (std::size_t i = 0; i < count; i += batch) {
      std::this_thread::sleep_until(next += pause);
      const auto end = std::min(i + batch, count);
      session.query_prepared("publish", sql, {std::to_string(i), std::to_string(end - 1)});
      std::fill(committed.begin() + static_cast<std::ptrdiff_t>(i),
                committed.begin() + static_cast<std::ptrdiff_t>(end), Clock::now());
    }
  });
  for (std::size_t received = 0; received < count; ++received) {
    const auto message = subscription.next(seconds(10));
    if (!message) throw std::runtime_error("an event did not arrive within 10 s");
    arrived.at(number_of(message->payload)) = Clock::now();
  }
  publisher.join();
  std::vector<double> ms;
  for (std::size_t i = 0; i < count; ++i)
    ms.push_back(std::max(0.0, std::chrono::duration<double, std::milli>(arrived[i] - committed[i]).count()));
  return ms;
}

}  // namespace

void latency(Report& report, const Effort& effort) {
  const auto count = [&](int full) { return static_cast<std::size_t>(effort.events(full)); };
  Rig rig;
  rig.create("latency");
  {
    const auto table = "tide.outbox_" + rig.outbox_id("latency");
    rig.sql().query("SELECT setval('" + table + "_wake', 2)");  // publishers notify
    test::Process loop({test::variable("TIDE_BARE_LOOP"), rig.url(), table, rig.nats().url(), "latency.insert", "0"});
    if (!loop.wait_for_output("following", seconds(10))) throw std::runtime_error("the bare loop: " + loop.err());
    measure(rig, 200, 1, milliseconds(5));  // warm-up
    const auto bare = measure(rig, count(1'000), 1, milliseconds(10));
    report.note("commit to subscriber, one at a time, bare loop", summary(bare));
  }
  rig.rewind("latency");
  const auto relay = rig.start_relay();
  if (!rig.js().wait_for_messages("LATENCY", 200 + count(1'000), seconds(30)))
    throw std::runtime_error("the relay did not deliver: " + relay->err());
  measure(rig, 200, 1, milliseconds(5));  // warm-up

  const auto quiet = measure(rig, count(1'000), 1, milliseconds(10));
  report.at_most("commit to subscriber, quiet relay: p50, ms", percentile(quiet, 0.5), 0.5, summary(quiet));
  report.at_most("the same: p99, ms", percentile(quiet, 0.99), 3, summary(quiet));
  const auto steady = measure(rig, count(10'000), 1, milliseconds(1));
  report.at_most("commit to subscriber at 1,000/s: p99, ms", percentile(steady, 0.99), 5, summary(steady));
  const auto busy = measure(rig, count(200'000), 20, milliseconds(1));
  report.at_most("commit to subscriber at 20,000/s: p99, ms", percentile(busy, 0.99), 20, summary(busy));
}

}  // namespace tide::bench
