// What the tests of the schema and of the reader share: installing the schema, a session, an error as text.
#pragma once

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "base/postgres.hpp"

namespace tide::test {

inline pg::Settings settings(const std::string& url) {
  return {url, "test", std::chrono::seconds(60)};
}

// The schema as `tide-relay init` makes it, from the files in SQL_DIR.
inline void install_schema(const std::string& url) {
  std::string sql = "BEGIN;";
  for (const char* name : {"/001-tables.sql", "/002-restore.sql", "/functions.sql"}) {
    const std::ifstream file(std::string(SQL_DIR) + name);
    if (!file) throw std::runtime_error(std::string("can not read ") + SQL_DIR + name);
    std::ostringstream text;
    text << file.rdbuf();
    sql += text.str();
  }
  pg::Session(settings(url)).query(sql + "SELECT tide.installed(2); COMMIT");
}

// The error of a statement that PostgreSQL refuses, as "SQLSTATE text"; empty when it succeeds.
inline std::string refusal(pg::Session& session, const std::string& sql) {
  try {
    session.query(sql);
  } catch (const pg::SqlError& e) {
    return e.sqlstate + ' ' + e.what();
  }
  return {};
}

inline std::string value(pg::Session& session, const std::string& sql) {
  const auto rows = session.query(sql);
  return rows.empty() ? std::string() : std::string(rows.at(0, 0));
}

}  // namespace tide::test
