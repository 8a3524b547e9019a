// One committed outbox row as the stages hand it on. Views point into the page that it was read with, which lives as
// long as the page's storage is held. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tide {

struct Event {
  std::int64_t id = 0;
  std::int64_t created_at_us = 0;  // microseconds since 1970-01-01 UTC
  std::string_view outbox;
  std::string_view stream_table;  // the attached table's name, else the outbox's
  std::string_view op;
  std::string_view key;      // dedup_key, else the row's stable identity
  std::string_view headers;  // a JSON object, or empty
  std::string_view payload;  // JSON text, as PostgreSQL prints the jsonb
};

}  // namespace tide
