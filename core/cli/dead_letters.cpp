#include <algorithm>
#include <functional>
#include <iostream>

#include "base/postgres.hpp"
#include "cli/commands.hpp"
#include "schema/schema.hpp"

namespace tide::cli {

namespace {

constexpr const char* kPageRows = "100";  // at a time: payloads may be large

struct Connection {
  explicit Connection(const Options& options)
      : session({postgres_url(options), "tide-relay dead-letters", std::chrono::minutes(10)}) {
    check_schema(session, schema_source());
  }
  pg::Session session;
};

// PostgreSQL's words without the places within functions, which help nobody here.
std::string said(const pg::SqlError& e) {
  std::string text = e.what();
  text = text.substr(0, text.find("; CONTEXT:"));
  if (text.find("permission denied") != std::string::npos) {
    text += "; the login in the URL needs the role tide_admin: GRANT tide_admin TO …";
  }
  return text;
}

// The pipelines that the options select: one, or all that have dead letters.
std::vector<std::string> selected_pipelines(pg::Session& session, const Options& options) {
  if (!options.all) return {options.pipeline};
  const auto rows = session.query("SELECT DISTINCT pipeline FROM tide.dead_letters ORDER BY 1");
  std::vector<std::string> names;
  for (std::size_t row = 0; row < rows.size(); ++row) names.emplace_back(rows.at(row, 0));
  return names;
}

std::string count_of(std::int64_t count) {
  return std::to_string(count) + (count == 1 ? " dead letter" : " dead letters");
}

// What is done to the selected letters. Of ids, all or none; of pipelines, each for itself.
int apply(pg::Session& session, const Options& options, const std::string& one_function,
          const std::string& all_function, const char* done,
          const std::function<void(const std::string& pipeline)>& after) {
  std::vector<std::string> touched;
  int worst = kDone;
  if (!options.letters.empty()) {
    std::vector<std::string> lines;
    try {
      session.begin();
      for (const auto letter : options.letters) {
        const auto id = std::to_string(letter);
        const auto row = session.query("SELECT pipeline FROM tide.dead_letters WHERE dead_letter_id = $1", {id});
        session.query("SELECT tide." + one_function + "($1)", {id});
        lines.push_back("dead letter " + id + " of pipeline '" + std::string(row.at(0, 0)) + "' " + done);
        touched.emplace_back(row.at(0, 0));
      }
      session.commit();
    } catch (const pg::SqlError& e) {
      session.rollback();
      std::cerr << said(e) << (options.letters.size() > 1 ? "; no letter was changed" : "") << '\n';
      return kFailed;
    }
    for (const auto& line : lines) std::cout << line << '\n';
  } else {
    const auto pipelines = selected_pipelines(session, options);
    if (pipelines.empty()) std::cout << "no dead letters\n";
    for (const auto& pipeline : pipelines) {
      try {
        const auto count = session.query("SELECT tide." + all_function + "($1)", {pipeline}).integer(0, 0);
        std::cout << count_of(count) << " of pipeline '" << pipeline << "' " << done << '\n';
        if (count > 0) touched.push_back(pipeline);
      } catch (const pg::SqlError& e) {
        std::cerr << said(e) << '\n';
        worst = kFailed;
      }
    }
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (const auto& pipeline : touched) after(pipeline);
  return worst;
}

void print_letter(const pg::Result& rows, std::size_t row) {
  const auto text = [&](int column) { return std::string(rows.at(row, column)); };
  const auto tries = rows.integer(row, 5);
  std::cout << text(0) << "  pipeline " << text(1) << "  event " << text(2) << "  key " << text(3) << "  " << text(4)
            << ", rejected " << (tries == 1 ? "once" : text(5) + " times") << "\n  subject  "
            << (rows.is_null(row, 6) ? "(could not be rendered)" : text(6)) << "\n  error    " << text(7) << ", at "
            << text(8) << '\n';
}

}  // namespace

int list_dead_letters(const Options& options) {
  Connection connection(options);
  auto& session = connection.session;
  const std::string columns =
      options.json ? "dead_letter_id, row_to_json(d)"
                   : "dead_letter_id, pipeline, outbox_id, dedup_key, state, tries, subject, error, failed_at";
  const auto sql = "SELECT " + columns +
                   " FROM tide.dead_letters d WHERE dead_letter_id > $1::bigint AND ($2::text IS NULL OR pipeline = $2)"
                   " ORDER BY dead_letter_id LIMIT " +
                   kPageRows;
  const auto pipeline = options.pipeline.empty() ? pg::Param() : options.pipeline;
  std::int64_t last = 0;
  bool any = false;
  while (true) {
    const auto rows = session.query(sql, {std::to_string(last), pipeline});
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (options.json) {
        std::cout << (any ? ",\n  " : "[\n  ") << rows.at(row, 1);
      } else {
        print_letter(rows, row);
      }
      any = true;
    }
    if (rows.empty()) break;
    last = rows.integer(rows.size() - 1, 0);
  }
  if (options.json) {
    std::cout << (any ? "\n]\n" : "[]\n");
  } else if (!any) {
    std::cout << (options.pipeline.empty() ? "no dead letters\n"
                                           : "pipeline '" + options.pipeline + "' has no dead letters\n");
  }
  return kDone;
}

int retry_dead_letters(const Options& options) {
  Connection connection(options);
  auto& session = connection.session;
  return apply(session, options, "dead_letter_retry", "dead_letters_retry", "will be sent again",
               [&](const std::string& pipeline) {
                 const auto row =
                     session.query("SELECT state FROM tide.relay_pipelines WHERE pipeline = $1", {pipeline});
                 if (row.empty() || (row.at(0, 0) != "disabled" && row.at(0, 0) != "not running")) return;
                 std::cerr << "pipeline '" << pipeline << "' is " << row.at(0, 0)
                           << ": its letters wait until a relay runs it\n";
               });
}

int discard_dead_letters(const Options& options) {
  Connection connection(options);
  return apply(connection.session, options, "dead_letter_discard", "dead_letters_discard", "discarded",
               [](const std::string&) {});
}

}  // namespace tide::cli
