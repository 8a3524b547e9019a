#include <iostream>

#include "base/postgres.hpp"
#include "cli/commands.hpp"
#include "schema/schema.hpp"

namespace tide::cli {

int init(const Options& options) {
  pg::Session session({postgres_url(options), "tide-relay init", std::chrono::minutes(10)});
  session.require_writes();
  std::cout << install_schema(session, schema_source(), options.take_over) << '\n';
  return kDone;
}

int accept_restore(const Options& options) {
  pg::Session session({postgres_url(options), "tide-relay accept-restore", std::chrono::hours(6)});
  session.require_writes();
  check_schema(session, schema_source());
  const auto pipelines = session.query("SELECT tide.accept_restore()").integer(0, 0);
  std::cout << "accepted: " << pipelines << (pipelines == 1 ? " pipeline goes" : " pipelines go")
            << " on from where the backup has them\n";
  return kDone;
}

}  // namespace tide::cli
