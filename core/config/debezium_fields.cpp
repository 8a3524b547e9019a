#include "config/debezium_fields.hpp"

#include <algorithm>
#include <utility>

namespace tide {
namespace {

constexpr std::string_view kForm = "must be a list like \"type:header:eventType,aggregateid:envelope\": ";

// Cuts the text before the separator off rest, without blanks around it.
std::string_view next(std::string_view& rest, char separator) {
  const auto end = rest.find(separator);
  auto part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  while (part.starts_with(' ')) part.remove_prefix(1);
  while (part.ends_with(' ')) part.remove_suffix(1);
  return part;
}

}  // namespace

std::vector<DebeziumField> parse_debezium_fields(std::string_view text, std::string& fault) {
  std::vector<DebeziumField> fields;
  const auto wrong = [&](std::size_t number, const std::string& why) {
    fault = std::string(kForm) + "field " + std::to_string(number) + " " + why;
    return std::vector<DebeziumField>{};
  };
  do {
    const std::size_t number = fields.size() + 1;
    std::string_view rest = next(text, ',');
    const auto column = next(rest, ':');
    const auto placement = next(rest, ':');
    const auto alias = rest.empty() ? column : next(rest, ':');
    if (column.empty() || alias.empty() || !rest.empty()) return wrong(number, "is none");
    if (placement == "partition") return wrong(number, "is placed in the partition, and there are no partitions");
    if (placement != "header" && placement != "envelope") return wrong(number, "goes neither to header nor envelope");
    const bool in_envelope = placement == "envelope";
    if (alias == (in_envelope ? "payload" : "id")) return wrong(number, "has the name of what is always there");
    const bool twice = std::any_of(fields.begin(), fields.end(),
                                   [&](const auto& f) { return f.in_envelope == in_envelope && f.alias == alias; });
    if (twice) return wrong(number, "has the name of one before it");
    fields.push_back(
        {std::string(column), in_envelope, std::string(alias), *EventField::parse("header." + std::string(column))});
  } while (!text.empty());
  return fields;
}

}  // namespace tide
