#include "source/letter_reader.hpp"

#include <utility>

#include "source/event_row.hpp"

namespace tide {

namespace {

// $1 pipeline, $2 outbox, $3 version or NULL, $4 after, $5 limit, $6 limit in bytes.
constexpr const char* kRead =
    "SELECT dead_letter_id, outbox_id, (date_part('epoch', created_at) * 1000000)::bigint, stream_table, op, dedup_key,"
    " headers, payload FROM (SELECT r.*, coalesce(sum(tide.payload_bytes(payload)) OVER (ORDER BY dead_letter_id"
    " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM (SELECT * FROM tide.dead_letter_messages"
    " WHERE pipeline = $1 AND outbox = $2 AND state = 'retrying' AND dead_letter_id > $4::bigint AND NOT EXISTS (SELECT"
    " FROM tide.pipelines p WHERE p.name = $1 AND md5(p.config::text) <> $3) ORDER BY dead_letter_id LIMIT $5::bigint) "
    "r"
    ") c WHERE before < $6::bigint ORDER BY dead_letter_id";

}  // namespace

LetterReader::LetterReader(pg::SessionPool& sessions, std::string pipeline, std::string outbox, std::string version)
    : sessions_(sessions), pipeline_(std::move(pipeline)), outbox_(std::move(outbox)), version_(std::move(version)) {}

pg::Result LetterReader::query(const std::string& name, const char* sql, const std::vector<pg::Param>& params) {
  return sessions_.run([&](pg::Session& session) { return session.query_prepared(name, sql, params); });
}

std::set<std::int64_t> LetterReader::wanted(const std::vector<std::int64_t>& letters) {
  std::string ids = "{";
  for (const auto letter : letters) ids += (ids.size() == 1 ? "" : ",") + std::to_string(letter);
  const auto rows =
      query("wanted_letters",
            "SELECT dead_letter_id FROM tide.dead_letter_messages WHERE dead_letter_id = ANY($1::bigint[])"
            " AND state = 'retrying'",
            {ids + '}'});
  std::set<std::int64_t> found;
  for (std::size_t row = 0; row < rows.size(); ++row) found.insert(rows.integer(row, 0));
  return found;
}

std::shared_ptr<const Page> LetterReader::read(const Position& position, std::int64_t after, std::size_t limit,
                                               std::size_t max_bytes) {
  const auto rows = query("read_letters", kRead,
                          {pipeline_, outbox_, version_.empty() ? pg::Param() : version_, std::to_string(after),
                           std::to_string(limit), std::to_string(max_bytes)});

  auto page = std::make_shared<Page>();
  page->storage = std::make_shared<const pg::Result>(rows);
  page->before = position;
  page->end = position;
  page->full = !rows.empty();
  EventRow row;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows.row(i, row);
    page->add(event_of(row, outbox_));
    page->letter_ids.push_back(pg::to_integer(row[0]));
  }
  return page;
}

}  // namespace tide
