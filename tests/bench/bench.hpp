// The benchmark's parts, each with servers of its own. One thread.
#pragma once

#include "report.hpp"

namespace tide::bench {

struct Effort {
  double scale = 1;  // of the numbers of events
  int runs = 5;      // of each kind, interleaved
  [[nodiscard]] int events(int full) const { return static_cast<int>(full * scale); }
};

void draining(Report& report, const Effort& effort);
void payloads(Report& report, const Effort& effort);
void latency(Report& report, const Effort& effort);
void backlog(Report& report, const Effort& effort);
void publishing(Report& report, const Effort& effort);
void pipelines(Report& report, const Effort& effort);

}  // namespace tide::bench
