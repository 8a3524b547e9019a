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
  const auto found = [&] {
    try {
      return session.query(
          "SELECT (SELECT current_database()), to_regnamespace('tide') IS NOT NULL,"
          " EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('tide.installation')"
          " AND attname = 'product')");
    } catch (const pg::SqlError& e) {
      if (e.sqlstate != "42501") throw;
      throw Error(std::string(e.what()) +
                  "; the owner of the schema gives this login its role: GRANT tide_relay TO LOGIN (tide_admin, for "
                  "dead-letters retry and discard)");
    }
  }();
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

// The version of the extension `tide` that the schema belongs to, if it does.
std::optional<std::string> extension_version(pg::Session& session) {
  const auto row = session.query("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'tide'");
  if (row.empty()) return std::nullopt;
  return std::string(row.at(0, 0));
}

// Leaves all that the extension made where it is, and the extension out.
void leave_extension(pg::Session& session) {
  session.query(
      "DO $$ DECLARE object record; BEGIN FOR object IN SELECT i.* FROM pg_catalog.pg_depend d"
      " CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) i"
      " WHERE d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass"
      " AND d.refobjid = (SELECT oid FROM pg_catalog.pg_extension WHERE extname = 'tide')"
      " AND d.classid <> 'pg_catalog.pg_type'::regclass"  // from 17 on members as well, which go with their tables
      " LOOP EXECUTE pg_catalog.format('ALTER EXTENSION tide DROP %s %s', object.type, object.identity);"
      " END LOOP; END $$; DROP EXTENSION tide");
}

// Upgrades a schema that belongs to the extension by the extension's own way; returns what it did.
std::string update_extension(pg::Session& session, const SchemaSource& source, const std::string& extension,
                             int version) {
  bool offered = false;
  if (extension != source.release) {
    try {
      offered = !session
                     .query(
                         "SELECT FROM pg_catalog.pg_extension_update_paths('tide') WHERE source = $1 AND target = $2"
                         " AND path IS NOT NULL",
                         {extension, source.release})
                     .empty();
    } catch (const pg::SqlError&) {
      offered = false;  // the server has no files of it at all
    }
  }
  if (offered) {
    session.query("ALTER EXTENSION tide UPDATE TO '" + source.release + "'");
    return "updated extension tide from version " + extension + " to " + source.release;
  }
  if (version < source.version()) {
    throw Error("the database's schema tide belongs to the extension tide " + extension +
                ", which the server can not update to " + source.release +
                ": install postgresql-tide-relay of this version there; or let the schema be this program's from now "
                "on: tide-relay init --take-over");
  }
  return "schema tide is at version " + std::to_string(version) + " already; it belongs to the extension tide " +
         extension;
}

}  // namespace

std::string install_schema(pg::Session& session, const SchemaSource& source, bool take_over) {
  session.begin();
  try {
    session.query("SELECT pg_advisory_xact_lock(1953064037, 0)");  // one installer at a time
    const auto before = installed(session);
    const int version = before ? before->version : 0;
    if (version > source.version()) throw too_new(version, source);
    session.query("SET LOCAL client_min_messages = warning");
    const auto extension = extension_version(session);
    if (extension && !take_over) {
      const auto done = update_extension(session, source, *extension, version);
      session.commit();
      return done;
    }
    if (extension) leave_extension(session);
    for (int step = version; step < source.version(); ++step) {
      session.query(std::string(source.steps[static_cast<std::size_t>(step)]));
    }
    session.query(std::string(source.functions));
    const auto reached = std::to_string(source.version());
    session.query("SELECT tide.installed(" + reached + ")");
    session.commit();
    if (extension) return "schema tide, version " + reached + ", belongs to the extension tide no longer";
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
