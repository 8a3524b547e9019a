// One condition of a route: a test of one value of the event. Values are compared as JSON has them: the text "5" is not
// the number 5. Immutable; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "template/event_field.hpp"

namespace tide {

struct Condition {
  using Scalar = std::variant<bool, std::int64_t, double, std::string>;

  // Of a value that is missing or null only absent and none_of hold; of an object or array only present and none_of.
  // What orders holds between two numbers or between two texts, which are compared byte by byte.
  enum class Test { any_of, none_of, present, absent, prefix, suffix, greater, at_least, less, at_most };

  EventField field;
  Test test = Test::any_of;
  std::vector<Scalar> operands;  // of any_of and none_of, any number; of present and absent, none; else one

  // json must have been reset to the event's.
  [[nodiscard]] bool holds(const Event& event, EventJson& json) const;
};

}  // namespace tide
