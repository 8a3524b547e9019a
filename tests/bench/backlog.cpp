// That neither the length of the backlog, nor what was read before, nor a long transaction costs anything.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "bench.hpp"
#include "rig.hpp"

namespace tide::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string cost(double rate) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f µs (%.0f/s)", 1e6 / rate, rate);
  return text;
}

// Starts a relay, and returns how long it takes until the first event is stored.
double first_delivery(Rig& rig, const std::string& name) {
  rig.rewind(name);
  auto subscription = rig.js().subscribe(name + ".>");
  const auto start = Clock::now();
  const auto relay = rig.start_relay();
  if (!subscription.next(milliseconds(30'000))) throw std::runtime_error("nothing was delivered within 30 s");
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  relay->terminate();
  return seconds;
}

// Drains all, and returns the greatest memory that was seen after its first second, and by how much it grew then.
Stored drain_watched(Rig& rig, const std::string& name, double& most, double& growth) {
  rig.rewind(name);
  const auto relay = rig.start_relay(true);
  double first = 0;
  most = 0;
  const auto start = Clock::now();
  while (relay->running()) {
    std::this_thread::sleep_for(milliseconds(100));
    const double now = resident_mib(relay->pid());
    if (first == 0 && Clock::now() - start > milliseconds(2'000)) first = now;
    most = std::max(most, now);
  }
  growth = most - first;
  return rig.stored(stream_of(name));
}

}  // namespace

void backlog(Report& report, const Effort& effort) {
  Rig rig;
  const int least = effort.events(10'000);
  const int some = effort.events(1'000'000);
  const int most = effort.events(5'000'000);

  rig.create("least");
  rig.fill("least", least, 256);
  rig.drain_by_relay("least");
  std::vector<double> rates;
  for (int run = 0; run < 3 * effort.runs; ++run) rates.push_back(rig.drain_by_relay("least").per_second);
  const double reference = median(rates);
  report.note("cost per event, backlog of " + std::to_string(least), cost(reference));
  rig.drop("least");

  rig.create("some");
  rig.fill("some", some, 256);
  const double rate_some = rig.drain_by_relay("some").per_second;
  report.at_most("cost per event, backlog of " + std::to_string(some) + ", of that", reference / rate_some, 1.1,
                 cost(rate_some));
  rig.drop("some");

  rig.create("most");
  rig.fill("most", most, 256);
  std::vector<double> starts;
  for (int run = 0; run < effort.runs; ++run) starts.push_back(first_delivery(rig, "most"));
  report.at_most("first delivery after a start with " + std::to_string(most) + " events to deliver, s", median(starts),
                 1, spread(starts, " s"));
  double memory = 0;
  double growth = 0;
  const double rate_most = drain_watched(rig, "most", memory, growth).per_second();
  report.at_most("cost per event, backlog of " + std::to_string(most) + ", of that of " + std::to_string(least),
                 reference / rate_most, 1.1, cost(rate_most));
  char text[96];
  std::snprintf(text, sizeof text, "%.1f MiB; grew by %.1f MiB after its first seconds", memory, growth);
  report.at_most("memory while draining " + std::to_string(most) + " events, MiB", memory, 40, text);

  // The 5 million stay, as delivered events do; what comes now is read after them.
  const int more = effort.events(300'000);
  rig.create("fresh");
  rig.fill("fresh", more, 256);
  rig.sql().query("SELECT tide.relay_disable('most')");
  const auto position =
      rig.sql().query("SELECT last_id FROM tide.consumer_offsets WHERE consumer_group = 'most'").at(0, 0);
  const std::string read_to(position);
  rig.drain_by_relay("fresh");
  pg::Session other({rig.url(), "bench", std::chrono::minutes(10)});
  other.query("BEGIN; SELECT tide.outbox_publish('most', '{}'); SELECT tide.outbox_publish('fresh', '{}')");
  rig.fill("most", more, 256);
  std::vector<double> with;
  std::vector<double> without;
  for (int run = 0; run < effort.runs; ++run) {
    without.push_back(rig.drain_by_relay("fresh").per_second);
    rig.sql().query("SELECT tide.relay_disable('fresh'); SELECT tide.relay_enable('most')");
    rig.sql().query("UPDATE tide.consumer_offsets SET last_id = " + read_to + " WHERE consumer_group = 'most'");
    rig.js().delete_stream("MOST");
    rig.js().create_stream("MOST", {"most.>"});
    const auto relay = rig.start_relay(true);
    if (relay->wait(std::chrono::minutes(5)) != 0) throw std::runtime_error(relay->err());
    with.push_back(rig.stored("MOST").per_second());
    rig.sql().query("SELECT tide.relay_disable('most'); SELECT tide.relay_enable('fresh')");
  }
  other.query("ROLLBACK");
  const double ratio = median(with) / median(without);
  report.at_least("a long transaction and " + std::to_string(most) + " rows read before, of the rate without", ratio,
                  0.9, spread(with, "/s") + "; without " + spread(without, "/s"));
}

}  // namespace tide::bench
