// How far each pipeline had come, remembered outside PostgreSQL: by it a relay knows a database that was put back to an
// earlier state. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace tide {

class PositionMemory {
 public:
  // folder: where it outlives the process; empty: nowhere. It is made when it is needed.
  explicit PositionMemory(std::string folder = {});

  // From here on, of this installation. mark: tide.installation.mark; what was remembered under another one is
  // forgotten.
  void begin(const std::string& installation, const std::string& mark);

  void reached(std::int64_t offset_id, std::int64_t last_id);
  // How far ahead of last_id the pipeline was; 0: it was not.
  [[nodiscard]] std::int64_t ahead(std::int64_t offset_id, std::int64_t last_id);

  // Writes what is new. Throws Error where that can't be done.
  void save();

 private:
  const std::string folder_;
  std::mutex mutex_;
  std::string file_;
  std::string mark_;
  std::map<std::int64_t, std::int64_t> last_ids_;
  bool changed_ = false;
};

}  // namespace tide
