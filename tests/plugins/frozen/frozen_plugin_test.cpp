// The relay's own side, built with a header in which every struct has grown, works with a plugin that was built with
// the first one.
#include <gtest/gtest.h>
#include <tide/sink.h>

#include <cstdlib>

#include "sink/sink.hpp"

namespace tide {
namespace {

using std::chrono::milliseconds;

static_assert(sizeof(tide_sink::news) > 0, "this is not the header that has grown");

std::vector<OptionValue> values(const Plugin& plugin) {
  std::vector<OptionValue> values;
  for (const auto& option : plugin.options) values.push_back(default_value(option));
  return values;
}

TEST(FrozenPlugin, IsLoadedWithItsOptionsByALaterRelay) {
  const auto plugin = load_plugin(std::getenv("TIDE_FROZEN_PLUGIN"));
  EXPECT_EQ(plugin->id, "frozen");
  ASSERT_EQ(plugin->options.size(), 2U);
  EXPECT_EQ(plugin->options.find("volume")->default_value, "11");
  EXPECT_EQ(plugin->options.find("volume")->max_value, 20);
}

TEST(FrozenPlugin, DeliversAndRejectsInALaterRelay) {
  const auto plugin = load_plugin(std::getenv("TIDE_FROZEN_PLUGIN"));
  Sink sink(plugin, "p", values(*plugin), 0, milliseconds(1000));
  std::vector<tide_message> messages(3);
  for (std::size_t i = 0; i < 3; ++i) {
    messages[i].token = i + 1;
    messages[i].payload = i == 1 ? tide_str{"no", 2} : tide_str{"{}", 2};
    messages[i].news[2] = ~0ULL;
  }
  EXPECT_EQ(sink.publish(messages), 3U);
  const auto results = sink.ack(milliseconds(0));
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0].status, TIDE_STORED);
  EXPECT_EQ(results[1].status, TIDE_REJECTED);
  EXPECT_EQ(std::string(results[1].error.data, results[1].error.size), "it says no");
  EXPECT_EQ(results[2].token, 3U);
  EXPECT_EQ(results[2].news[2], 0U);
}

TEST(FrozenPlugin, FailsWithItsOwnWords) {
  const auto plugin = load_plugin(std::getenv("TIDE_FROZEN_PLUGIN"));
  auto wrong = values(*plugin);
  wrong[1].integer = 5;
  try {
    const Sink sink(plugin, "p", wrong, 0, milliseconds(1000));
    FAIL() << "it connected";
  } catch (const SinkFatal& e) {
    EXPECT_STREQ(e.what(), "sink frozen: no volume");
  }
}

}  // namespace
}  // namespace tide
