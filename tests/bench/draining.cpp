// How fast and at what cost a backlog drains, against the bare loop.
#include <cstdio>

#include "bench.hpp"
#include "rig.hpp"

namespace tide::bench {
namespace {

struct Runs {
  std::vector<double> rate;
  std::vector<double> cpu;
  void add(const Drain& drain) {
    rate.push_back(drain.per_second);
    cpu.push_back(drain.cpu_us);
  }
};

std::string two_digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string events_per_second(const Runs& runs) {
  return spread(runs.rate, "/s");
}

}  // namespace

void draining(Report& report, const Effort& effort) {
  Rig rig;
  const int events = effort.events(300'000);
  rig.create("drain");
  rig.fill("drain", events, 256);
  rig.drain_by_bare_loop("drain", events);  // warm-up
  rig.drain_by_relay("drain");
  Runs relay;
  Runs bare;
  Runs again;
  for (int run = 0; run < effort.runs; ++run) {
    bare.add(rig.drain_by_bare_loop("drain", events));
    relay.add(rig.drain_by_relay("drain"));
    again.add(rig.drain_by_bare_loop("drain", events));
  }
  report.note("noise: the bare loop against itself", two_digits(median(again.rate) / median(bare.rate)));
  bare.rate.insert(bare.rate.end(), again.rate.begin(), again.rate.end());
  bare.cpu.insert(bare.cpu.end(), again.cpu.begin(), again.cpu.end());

  const double rate = median(relay.rate) / median(bare.rate);
  report.at_least("draining " + std::to_string(events) + " events of 256 B, of the bare loop's rate", rate, 0.95,
                  two_digits(rate) + ": " + events_per_second(relay) + "; bare " + events_per_second(bare));
  report.at_most("the relay's CPU per event, µs", median(relay.cpu), 4, spread(relay.cpu, " µs"));
  const double cpu = median(relay.cpu) / median(bare.cpu);
  report.at_most("the same, of the bare loop's", cpu, 1.25, two_digits(cpu) + "; bare " + spread(bare.cpu, " µs"));
}

void payloads(Report& report, const Effort& effort) {
  Rig rig;
  for (const auto& [name, bytes, full] :
       {std::tuple("kib1", 1 << 10, 100'000), {"kib16", 16 << 10, 10'000}, {"kib256", 256 << 10, 1'000}}) {
    const int events = effort.events(full);
    rig.create(name);
    rig.fill(name, events, bytes);
    rig.drain_by_bare_loop(name, events);
    Runs relay;
    Runs bare;
    for (int run = 0; run < effort.runs; ++run) {
      relay.add(rig.drain_by_relay(name));
      bare.add(rig.drain_by_bare_loop(name, events));
    }
    const double rate = median(relay.rate) / median(bare.rate);
    report.at_least("payloads of " + std::to_string(bytes >> 10) + " KiB, of the bare loop's rate", rate, 0.95,
                    two_digits(rate) + ": " + events_per_second(relay) + "; bare " + events_per_second(bare));
    rig.drop(name);
  }
}

}  // namespace tide::bench
