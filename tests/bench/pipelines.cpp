// What many pipelines cost: idle ones, and those that read one outbox at once.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "bench.hpp"
#include "rig.hpp"

namespace tide::bench {
namespace {

void idle(Report& report) {
  Rig rig;
  rig.sql().query("SELECT tide.outbox_create('idle')");
  for (int i = 0; i < 100; ++i) rig.set_pipeline("idle" + std::to_string(i), "idle");
  const auto relay = rig.start_relay();
  std::this_thread::sleep_for(std::chrono::seconds(10));
  const auto begin = std::chrono::steady_clock::now();
  const double before = cpu_seconds(relay->pid());
  std::this_thread::sleep_for(std::chrono::seconds(20));
  const double percent = 100 * (cpu_seconds(relay->pid()) - before) /
                         std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  char text[64];
  std::snprintf(text, sizeof text, "%.2f %%", percent);
  report.at_most("100 idle pipelines, % of a core", percent, 1, text);
  const auto sessions =
      rig.sql().query("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tide-relay%'").integer(0, 0);
  report.at_most("their sessions of PostgreSQL", static_cast<double>(sessions), 10, std::to_string(sessions));
}

void together(Report& report, const Effort& effort) {
  constexpr int kPipelines = 16;
  Rig rig;
  const int events = effort.events(50'000);
  rig.create("one");
  rig.fill("one", events, 256);
  rig.drain_by_relay("one");
  std::vector<double> alone;
  for (int run = 0; run < effort.runs; ++run) alone.push_back(rig.drain_by_relay("one").per_second);

  rig.sql().query("SELECT tide.relay_disable('one')");
  for (int i = 0; i < kPipelines; ++i) rig.set_pipeline("one" + std::to_string(i), "one");
  std::vector<double> all;
  for (int run = 0; run < effort.runs; ++run) {
    for (int i = 0; i < kPipelines; ++i) rig.rewind("one" + std::to_string(i), "one");
    const auto relay = rig.start_relay(true);
    if (relay->wait(std::chrono::minutes(5)) != 0) throw std::runtime_error(relay->err());
    Stored whole;
    for (int i = 0; i < kPipelines; ++i) {
      const auto part = rig.stored(stream_of("one" + std::to_string(i)));
      whole = {whole.messages + part.messages, i == 0 ? part.first : std::min(whole.first, part.first),
               std::max(whole.last, part.last)};
    }
    all.push_back(whole.per_second());
  }
  const double ratio = median(all) / median(alone);
  report.at_least("16 pipelines of one outbox at once, of one's rate", ratio, 0.9,
                  spread(all, "/s") + " together; one " + spread(alone, "/s"));
}

}  // namespace

void pipelines(Report& report, const Effort& effort) {
  idle(report);
  together(report, effort);
}

}  // namespace tide::bench
