// What the sink jsonl holds after the relay was killed again and again.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "fault/kill_audit.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

class JsonlAudit : public KillAudit {
 protected:
  // Of the files that were put aside, in the order of their numbers, and of the last one.
  std::vector<Message> arrived() override {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_.path())) files.push_back(entry.path());
    const auto number = [](const fs::path& file) {
      const auto extension = file.extension().string();
      return extension == ".jsonl" ? 1 << 30 : std::stoi(extension.substr(1));
    };
    std::sort(files.begin(), files.end(), [&](const auto& a, const auto& b) { return number(a) < number(b); });
    std::vector<Message> messages;
    const std::string payload = "\"payload\":";
    for (const auto& file : files) {
      std::ifstream in(file);
      for (std::string line; std::getline(in, line);) {
        EXPECT_TRUE(line.starts_with("{\"key\":") && line.ends_with("}}")) << "torn or glued: " << line;
        const auto at = line.find(payload);
        auto& message = messages.emplace_back();
        message.sequence = messages.size();
        if (at != std::string::npos) message.payload = line.substr(at + payload.size());
      }
    }
    files_ = files.size();
    return messages;
  }
  std::string config(const std::string& more = {}) {
    return "{\"sink_type\": \"jsonl\", \"path\": \"" + (folder_ / "events.jsonl").string() + "\"" + more + "}";
  }

  TempDir folder_;
  std::size_t files_ = 0;
};

TEST_F(JsonlAudit, ARotatedFileHoldsEachEventOnceAndInOrder) {
  set_up_sink(config(R"(, "rotate_bytes": 200000)"));
  audit(Guarantee::exactly_once);
  EXPECT_GT(files_, 3u) << "it was not rotated: the test proves less than it should";
}

}  // namespace
}  // namespace tide::test
