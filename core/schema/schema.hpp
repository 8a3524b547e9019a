// Installs and upgrades the schema `tide`. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/postgres.hpp"

namespace tide {

// The SQL that makes the schema: numbered steps, each run once in a database's life, then what can be run again.
struct SchemaSource {
  std::vector<std::string_view> steps;  // step n leads to version n
  std::string_view functions;           // functions, views, rights
  std::string release;                  // the extension's version of the same schema

  [[nodiscard]] int version() const { return static_cast<int>(steps.size()); }
};

// The one that this program carries.
const SchemaSource& schema_source();

// Installs or upgrades in one transaction; returns what it did, for people. Safe to run again, and at once by several.
// A schema of the extension `tide` is upgraded by updating that, unless it is to be taken over.
// Throws Error: a schema `tide` that this program did not make (it is left alone), or a newer one.
std::string install_schema(pg::Session& session, const SchemaSource& source, bool take_over = false);

// The installation id. Throws Error with the way out where the schema is missing, foreign, too old or too new.
std::string check_schema(pg::Session& session, const SchemaSource& source);

}  // namespace tide
