// A connection string or URL of PostgreSQL's, taken apart as libpq does it, to be changed and put together again. A
// value.
#pragma once

#include <map>
#include <string>

namespace tide::pg {

class ConnectionOptions {
 public:
  // Throws Error for what is none. It shows nothing of the text: a password that is not written right may stand in any
  // part of it.
  explicit ConnectionOptions(const std::string& url);

  [[nodiscard]] bool has(const std::string& name) const { return values_.contains(name); }
  void set(const std::string& name, const std::string& value) { values_[name] = value; }
  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] std::string value(const std::string& name) const;

  std::map<std::string, std::string> values_;
};

}  // namespace tide::pg
