#include "template/condition.hpp"

#include <algorithm>
#include <charconv>
#include <compare>
#include <optional>

namespace tide {
namespace {

using Found = JsonFields::Found;

template <typename Number>
std::optional<Number> parse(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Whole numbers of 64 bits exactly, others as doubles.
std::partial_ordering compare_numbers(std::string_view text, const Condition::Scalar& operand) {
  const auto* integer = std::get_if<std::int64_t>(&operand);
  if (const auto value = parse<std::int64_t>(text)) {
    if (integer != nullptr) return *value <=> *integer;
    return static_cast<long double>(*value) <=> static_cast<long double>(std::get<double>(operand));
  }
  const auto value = parse<double>(text);
  if (!value) return std::partial_ordering::unordered;
  if (integer != nullptr) return static_cast<long double>(*value) <=> static_cast<long double>(*integer);
  return *value <=> std::get<double>(operand);
}

// Unordered: they are of different types.
std::partial_ordering compare(Found found, std::string_view value, const Condition::Scalar& operand) {
  if (const auto* boolean = std::get_if<bool>(&operand)) {
    const bool equal = found == Found::boolean && value == (*boolean ? "true" : "false");
    return equal ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
  }
  if (const auto* text = std::get_if<std::string>(&operand)) {
    if (found != Found::string) return std::partial_ordering::unordered;
    return value.compare(*text) <=> 0;
  }
  return found == Found::number ? compare_numbers(value, operand) : std::partial_ordering::unordered;
}

}  // namespace

bool Condition::holds(const Event& event, EventJson& json) const {
  std::string_view value;
  const Found found = field.find(event, json, value);
  const bool there = found != Found::missing && found != Found::null && found != Found::malformed;
  const auto equal = [&] {
    return std::any_of(operands.begin(), operands.end(),
                       [&](const Scalar& o) { return compare(found, value, o) == 0; });
  };
  switch (test) {
    case Test::any_of:
      return equal();
    case Test::none_of:
      return !equal();
    case Test::present:
      return there;
    case Test::absent:
      return !there;
    case Test::prefix:
      return found == Found::string && value.starts_with(std::get<std::string>(operands[0]));
    case Test::suffix:
      return found == Found::string && value.ends_with(std::get<std::string>(operands[0]));
    case Test::greater:
      return compare(found, value, operands[0]) > 0;
    case Test::at_least:
      return compare(found, value, operands[0]) >= 0;
    case Test::less:
      return compare(found, value, operands[0]) < 0;
    case Test::at_most:
      return compare(found, value, operands[0]) <= 0;
  }
  return false;
}

}  // namespace tide
