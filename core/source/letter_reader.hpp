// Reads a pipeline's dead letters that are marked to be sent again. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/page.hpp"
#include "base/postgres.hpp"

namespace tide {

class LetterReader {
 public:
  // version: of the configuration that the pipeline runs with, empty for a file's. Where the catalog has another one
  // by now, no letter is found: it was perhaps marked because the cause was mended there.
  LetterReader(pg::SessionPool& sessions, std::string pipeline, std::string outbox, std::string version);

  // The next at most `limit` letters whose id is above `after`; fewer once their payloads take `max_bytes`, but at
  // least one. A page that is not full has none: there is no more. Its position is `position` throughout.
  std::shared_ptr<const Page> read(const Position& position, std::int64_t after, std::size_t limit,
                                   std::size_t max_bytes);

  // Those of the letters that are still to be sent: nobody has discarded them.
  std::set<std::int64_t> wanted(const std::vector<std::int64_t>& letters);

 private:
  pg::Result query(const std::string& name, const char* sql, const std::vector<pg::Param>& params);

  pg::SessionPool& sessions_;
  const std::string pipeline_;
  const std::string outbox_;
  const std::string version_;
};

}  // namespace tide
