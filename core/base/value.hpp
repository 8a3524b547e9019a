// A configuration value from either source, JSON (the catalog) or TOML (the file). A plain value; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tide {

struct Value;
using Array = std::vector<Value>;
using Object = std::vector<std::pair<std::string, Value>>;  // in the order written

// How deep a configuration may be nested: far more than any sink needs, far less than what would exhaust the stack.
inline constexpr int kMaxValueDepth = 64;

struct Value {
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> data = nullptr;
  int line = 0;  // 1-based line in the configuration file; 0: from the catalog

  template <typename T>
  [[nodiscard]] const T* get() const {
    return std::get_if<T>(&data);
  }
  [[nodiscard]] const Value* find(std::string_view key) const;  // null unless an object that has the key
  [[nodiscard]] const char* type_name() const;                  // "a string", "an integer", …
};

// Throws ConfigError with the parser's word and, where it is known, the key. Refuses what a configuration never needs:
// a key that is there twice, more than 64 levels, an integer that does not fit 64 bits.
Value parse_json(std::string_view text);

// Compact. A number that JSON can't write (infinity) becomes null.
std::string to_json(const Value& value);

// Escapes exactly as PostgreSQL does when it prints a jsonb.
void append_json_string(std::string& out, std::string_view text);

// A text from outside, fit for one line of a message to people and for PostgreSQL: UTF-8 without control characters,
// cut when longer than max_bytes.
std::string printable(std::string_view text, std::size_t max_bytes = 120);

}  // namespace tide
