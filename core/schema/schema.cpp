#include "schema/schema.hpp"

#include <optional>

namespace tide {

namespace {

struct Installed {
  int version = 0;
  std::string id;
};

// Nothing: there is no schema `tide`. Throws Error for one that is not this program's.
std::optional<Installed> installed(pg::Session& session) {
  const auto found = session.query(
      "SELECT (SELECT current_database()), to_regnamespace('tide') IS NOT NULL,"
      " EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('tide.installation')"
      " AND attname = 'product')");
  if (found.at(0, 1) != "t") return std::nullopt;
  const auto foreign = [&] {
    return Error("database \"" + std::string(found.at(0, 0)) +
                 "\" has a schema \"tide\" that Tide Relay did not make; it was left alone. Use another database, or "
                 "rename that schema: ALTER SCHEMA tide RENAME TO …");
  };
  if (found.at(0, 2) != "t") throw foreign();
  const auto row = session.query("SELECT schema_version, id FROM tide.installation WHERE product = 'tide-relay'");
  if (row.empty()) throw foreign();
  return Installed{static_cast<int>(row.integer(0, 0)), std::string(row.at(0, 1))};
}

Error too_new(int version, const SchemaSource& source) {
  return Error("the database's schema tide has version " + std::to_string(version) + ", this program knows up to " +
               std::to_string(source.version()) + ": upgrade tide-relay on this host");
}

}  // namespace

std::string install_schema(pg::Session& session, const SchemaSource& source) {
  session.begin();
  try {
    session.query("SELECT pg_advisory_xact_lock(1953064037, 0)");  // one installer at a time
    const auto before = installed(session);
    const int version = before ? before->version : 0;
    if (version > source.version()) throw too_new(version, source);
    session.query("SET LOCAL client_min_messages = warning");
    for (int step = version; step < source.version(); ++step) {
      session.query(std::string(source.steps[static_cast<std::size_t>(step)]));
    }
    session.query(std::string(source.functions));
    const auto reached = std::to_string(source.version());
    if (!before) {
      session.query("INSERT INTO tide.installation (schema_version) VALUES (" + reached + ")");
    } else if (version < source.version()) {
      session.query("UPDATE tide.installation SET schema_version = " + reached + ", upgraded_at = now()");
    }
    session.commit();
    if (!before) return "installed schema tide, version " + reached;
    if (version < source.version())
      return "upgraded schema tide from version " + std::to_string(version) + " to " + reached;
    return "schema tide is at version " + reached + " already; its functions, views and rights were renewed";
  } catch (...) {
    session.rollback();
    throw;
  }
}

std::string check_schema(pg::Session& session, const SchemaSource& source) {
  constexpr auto kInit = "run: tide-relay init --postgres-url URL";
  const auto found = installed(session);
  if (!found) throw Error(std::string("the database has no schema tide; ") + kInit);
  if (found->version > source.version()) throw too_new(found->version, source);
  if (found->version < source.version()) {
    throw Error("the database's schema tide has version " + std::to_string(found->version) + ", this program needs " +
                std::to_string(source.version()) + "; " + kInit);
  }
  return found->id;
}

}  // namespace tide
