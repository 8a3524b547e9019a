// The audit that every sink must stand: writers publish, the relay is killed again and again, at random and at its
// named crash points, and what then arrived must equal what was committed, as far as the sink's guarantee says. One
// thread.
//
//   class JsonlAudit : public KillAudit {
//     std::vector<Message> arrived() override;  // what arrived, in its order: sequence and payload
//   };
//   TEST_F(JsonlAudit, …) { set_up_sink(R"({"sink_type": "jsonl", …})"); audit(Guarantee::exactly_once); }
//
// 5,000 events and 3 kills; with TIDE_AUDIT=long in the environment 100,000 events and 10 kills.
#pragma once

#include "fault/world.hpp"

namespace tide::test {

enum class Guarantee {
  exactly_once,   // nothing lost, twice, invented or, key by key, out of order
  at_least_once,  // the same, but for copies: an event's first arrival counts
  at_least_once_in_any_order,
};

class KillAudit : public World {
 protected:
  std::vector<Message> arrived() override = 0;
  void audit(Guarantee guarantee);
  virtual void disturb() {}  // before each kill of the relay: what befalls the sink's server

 private:
  void wait_for_events(int count);
};

}  // namespace tide::test
