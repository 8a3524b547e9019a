#include <iostream>

#include "base/postgres.hpp"
#include "cli/commands.hpp"
#include "schema/schema.hpp"

namespace tide::cli {

int init(const Options& options) {
  pg::Session session({postgres_url(options, load(options)), "tide-relay init", std::chrono::minutes(10)});
  session.require_writes();
  std::cout << install_schema(session, schema_source()) << '\n';
  return kDone;
}

}  // namespace tide::cli
