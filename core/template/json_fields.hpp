// Looks up fields in a jsonb text, parsing it only when the first one is asked for and no further than needed: a number
// of any size elsewhere in the text does no harm. Reused from event to event without allocating. One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tide {

class JsonFields {
 public:
  enum class Found { missing, null, boolean, number, string, nested, malformed };

  JsonFields();
  ~JsonFields();
  JsonFields(JsonFields&&) noexcept;
  JsonFields& operator=(JsonFields&&) noexcept;

  // Sets the next text, as PostgreSQL prints a jsonb; it must stay valid until the next reset. Empty is like "{}".
  void reset(std::string_view json);

  // The field at the end of the path. Path elements are escaped as in JSON, without the quotes: append_json_string()
  // writes what PostgreSQL prints. A string comes unescaped, a number or boolean as it is written; null is missing, an
  // object or array is nested. The view is valid until the next call.
  Found find(const std::vector<std::string>& path, std::string_view& value);

  // Calls visit(name, value) for each field of the object, nulls left out and nested values as compact JSON. The views
  // are valid during the call. Returns whether the text is an object (or empty, or null).
  bool each(const std::function<void(std::string_view name, std::string_view value)>& visit);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace tide
