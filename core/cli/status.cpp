#include <algorithm>
#include <iostream>
#include <vector>

#include "base/postgres.hpp"
#include "base/value.hpp"
#include "cli/commands.hpp"
#include "schema/schema.hpp"

namespace tide::cli {

namespace {

constexpr const char* kQuery =
    "SELECT p.pipeline, p.outbox, p.consumer_group, p.source, p.state, CASE WHEN g.healthy THEN 'yes' ELSE 'no' END, "
    "g.lag, g.last_id, g.committed_at, p.relay,"
    " p.last_error, p.last_error_at FROM tide.relay_pipelines p JOIN tide.consumer_lag g USING (pipeline)"
    " ORDER BY p.pipeline";

void print_json(const pg::Result& rows, const std::vector<std::string>& columns) {
  std::string out = "[";
  for (std::size_t row = 0; row < rows.size(); ++row) {
    out += row == 0 ? "\n  {" : ",\n  {";
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const auto column = static_cast<int>(c);
      out += c == 0 ? "" : ", ";
      append_json_string(out, columns[c]);
      out += ": ";
      const bool number = columns[c] == "lag" || columns[c] == "last_id";
      if (rows.is_null(row, column)) {
        out += "null";
      } else if (number) {
        out += rows.at(row, column);
      } else {
        append_json_string(out, rows.at(row, column));
      }
    }
    out += "}";
  }
  std::cout << out << (rows.empty() ? "]\n" : "\n]\n");
}

void print_table(const pg::Result& rows, const std::vector<std::string>& columns) {
  if (rows.empty()) {
    std::cout << "no pipelines; set one with SELECT tide.relay_set_outbox(…), or in the configuration file\n";
    return;
  }
  constexpr std::size_t kErrorColumns = 2;  // printed below the line instead
  const auto shown = columns.size() - kErrorColumns;
  const auto cell = [&](std::size_t row, std::size_t c) {
    const auto column = static_cast<int>(c);
    return rows.is_null(row, column) ? std::string("-") : std::string(rows.at(row, column));
  };
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < shown; ++c) {
    widths.push_back(columns[c].size());
    for (std::size_t row = 0; row < rows.size(); ++row) widths[c] = std::max(widths[c], cell(row, c).size());
  }
  const auto print = [&](std::size_t c, const std::string& text) {
    std::cout << text << (c + 1 == shown ? "\n" : std::string(widths[c] - text.size() + 2, ' '));
  };
  for (std::size_t c = 0; c < shown; ++c) print(c, columns[c]);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::size_t c = 0; c < shown; ++c) print(c, cell(row, c));
    if (!rows.is_null(row, static_cast<int>(shown))) {
      std::cout << "  last error, " << cell(row, shown + 1) << ": " << cell(row, shown) << '\n';
    }
  }
}

}  // namespace

int status(const Options& options) {
  pg::Session session({postgres_url(options), "tide-relay status", std::chrono::minutes(1)});
  check_schema(session, schema_source());
  const std::vector<std::string> columns = {"pipeline",     "outbox",  "group",      "source",
                                            "state",        "healthy", "lag",        "last_id",
                                            "committed_at", "relay",   "last_error", "last_error_at"};
  const auto rows = session.query(kQuery);
  if (options.json) {
    print_json(rows, columns);
  } else {
    print_table(rows, columns);
  }
  return kDone;
}

}  // namespace tide::cli
