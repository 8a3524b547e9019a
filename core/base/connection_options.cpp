#include "base/connection_options.hpp"

#include <libpq-fe.h>

#include <memory>
#include <string_view>

#include "base/error.hpp"

namespace tide::pg {

namespace {

[[noreturn]] void refuse() {
  throw Error(
      "the URL of PostgreSQL can't be read. It is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special "
      "characters of the password as %XX ('@' is %40, '/' is %2F, '%' is %25), or words as in: host=HOST "
      "dbname=DATABASE");
}

}  // namespace

ConnectionOptions::ConnectionOptions(const std::string& url) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> all(PQconninfoParse(url.c_str(), nullptr),
                                                                         PQconninfoFree);
  if (!all) refuse();
  for (const auto* option = all.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr && *option->val != '\0') values_[option->keyword] = option->val;
  }
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) return;
  // What is left of a password with an '@' or a '/' that is not written as %XX.
  auto rest = std::string_view(url).substr(url.find("://") + 3);
  rest = rest.substr(0, rest.find('?'));
  const auto at = rest.find('@');
  const bool torn =
      at != std::string_view::npos && (rest.find('@', at + 1) != std::string_view::npos || rest.find('/') < at);
  if (torn || value("port").find_first_not_of("0123456789,") != std::string::npos) refuse();
}

std::string ConnectionOptions::value(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string() : found->second;
}

std::string ConnectionOptions::text() const {
  std::string out;
  for (const auto& [name, value] : values_) {
    out += (out.empty() ? "" : " ") + name + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += '\'';
  }
  return out;
}

}  // namespace tide::pg
