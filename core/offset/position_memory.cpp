#include "offset/position_memory.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "base/error.hpp"

namespace tide {

namespace fs = std::filesystem;

PositionMemory::PositionMemory(std::string folder) : folder_(std::move(folder)) {}

void PositionMemory::begin(const std::string& installation, const std::string& mark) {
  const std::lock_guard lock(mutex_);
  if (mark == mark_) return;
  mark_ = mark;
  last_ids_.clear();
  changed_ = false;
  if (folder_.empty()) return;
  file_ = folder_ + '/' + installation;
  std::ifstream in(file_);
  std::string line;
  if (!std::getline(in, line) || line != mark) return;
  for (std::int64_t offset_id = 0, last_id = 0; in >> offset_id >> last_id;) last_ids_[offset_id] = last_id;
}

void PositionMemory::reached(std::int64_t offset_id, std::int64_t last_id) {
  const std::lock_guard lock(mutex_);
  auto& known = last_ids_[offset_id];
  if (known == last_id) return;
  known = last_id;
  changed_ = true;
}

std::int64_t PositionMemory::ahead(std::int64_t offset_id, std::int64_t last_id) {
  const std::lock_guard lock(mutex_);
  const auto known = last_ids_.find(offset_id);
  return known == last_ids_.end() ? 0 : std::max<std::int64_t>(known->second - last_id, 0);
}

void PositionMemory::save() {
  const std::lock_guard lock(mutex_);
  if (!changed_ || file_.empty()) return;
  const auto fresh = file_ + ".new";
  std::error_code error;
  fs::create_directories(folder_, error);
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << mark_ << '\n';
    for (const auto& [offset_id, last_id] : last_ids_) out << offset_id << ' ' << last_id << '\n';
    if (!out.flush()) throw Error("positions can't be remembered: " + fresh + " can't be written");
  }
  fs::rename(fresh, file_, error);
  if (error) throw Error("positions can't be remembered: " + file_ + " can't be written: " + error.message());
  changed_ = false;
}

}  // namespace tide
