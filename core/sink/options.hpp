// The options table: what a sink (and the core, for every sink) can be configured with. Validation, masking and the
// printed reference come from it. Immutable once made; any thread.
#pragma once

#include <tide/sink.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tide {

// An owned copy of one tide_option; tide/sink.h says what the fields mean.
struct Option {
  std::string name;
  std::int32_t type = TIDE_TYPE_STRING;
  std::uint32_t flags = 0;
  std::optional<std::string> default_value;
  std::string description;
  std::int64_t min_value = 0;
  std::int64_t max_value = 0;
  std::vector<std::string> choices;  // empty: any

  [[nodiscard]] bool required() const { return (flags & TIDE_OPTION_REQUIRED) != 0; }
  [[nodiscard]] bool secret() const { return (flags & TIDE_OPTION_SECRET) != 0; }
  [[nodiscard]] bool writes() const { return (flags & TIDE_OPTION_WRITES) != 0; }
  [[nodiscard]] bool is_template() const { return (flags & TIDE_OPTION_TEMPLATE) != 0; }
  [[nodiscard]] bool verbatim() const { return (flags & TIDE_OPTION_VERBATIM) != 0; }
  [[nodiscard]] const char* type_name() const;  // "string", "int", "bool" or "json"

  // What is wrong with a value, or nothing. Never quotes a string or a secret.
  [[nodiscard]] std::optional<std::string> fault(std::int64_t value) const;
  [[nodiscard]] std::optional<std::string> fault(std::string_view value) const;
};

// One option's value as the plugin gets it: an owned tide_value.
struct OptionValue {
  std::string name;
  std::int32_t type = TIDE_TYPE_STRING;
  bool is_set = false;
  std::string string;
  std::int64_t integer = 0;
  std::vector<std::string> alternatives = {};
};

class OptionTable {
 public:
  OptionTable() = default;
  explicit OptionTable(std::vector<Option> options);  // throws Error, which tells every fault of the table

  [[nodiscard]] const Option* find(std::string_view name) const;
  [[nodiscard]] bool has_group(std::string_view name) const;  // whether an option's name begins with "name."

  [[nodiscard]] std::size_t size() const { return options_.size(); }
  [[nodiscard]] auto begin() const { return options_.begin(); }
  [[nodiscard]] auto end() const { return options_.end(); }

 private:
  std::vector<Option> options_;
};

// Copies a plugin's table, whose rows are option_size bytes apart (the size it was built with: a tail that it lacks is
// zero, a tail that we lack is left alone). Throws Error when the table is not one that the relay can work with.
OptionTable copy_options(const tide_option* options, std::uint64_t count, std::uint32_t option_size);

// The options that every sink has.
const OptionTable& core_options();

// The option's default, or a value that is not set.
OptionValue default_value(const Option& option);

// The reference of one sink as a Markdown table. sink_types are separated by '|', as in tide_sink.
std::string reference_table(const OptionTable& plugin, std::string_view sink_types);

}  // namespace tide
