// What is remembered of positions outside PostgreSQL.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>

#include "offset/position_memory.hpp"

namespace tide {
namespace {

class Memory : public testing::Test {
 protected:
  ~Memory() override { std::filesystem::remove_all(folder_); }
  const std::string folder_ = testing::TempDir() + "tide_position_memory_" + std::to_string(::getpid()) + "/positions";
};

TEST_F(Memory, TellsHowFarAPositionIsBehind) {
  PositionMemory memory;
  memory.begin("installation", "mark");
  EXPECT_EQ(memory.ahead(1, 0), 0) << "it never saw that pipeline";
  memory.reached(1, 100);
  EXPECT_EQ(memory.ahead(1, 40), 60);
  EXPECT_EQ(memory.ahead(1, 140), 0);
  EXPECT_EQ(memory.ahead(2, 0), 0);
  memory.save();  // nowhere
}

TEST_F(Memory, OutlivesTheProcess) {
  {
    PositionMemory memory(folder_);
    memory.begin("installation", "mark");
    memory.reached(1, 100);
    memory.reached(2, 7);
    memory.save();
  }
  PositionMemory memory(folder_);
  memory.begin("installation", "mark");
  EXPECT_EQ(memory.ahead(1, 40), 60);
  EXPECT_EQ(memory.ahead(2, 0), 7);
}

TEST_F(Memory, BeginsAnewUnderAnotherMarkOrInstallation) {
  PositionMemory memory(folder_);
  memory.begin("installation", "mark");
  memory.reached(1, 100);
  memory.save();
  memory.begin("installation", "another");
  EXPECT_EQ(memory.ahead(1, 40), 0);
  PositionMemory other(folder_);
  other.begin("other", "mark");
  EXPECT_EQ(other.ahead(1, 40), 0);
}

TEST_F(Memory, SaysWhereItCannotWrite) {
  PositionMemory memory("/proc/tide");
  memory.begin("installation", "mark");
  memory.reached(1, 1);
  try {
    memory.save();
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("/proc/tide/installation"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace tide
