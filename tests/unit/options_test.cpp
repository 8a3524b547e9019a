#include "sink/options.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.hpp"

namespace tide {
namespace {

tide_option option(const char* name, std::int32_t type = TIDE_TYPE_STRING, std::uint32_t flags = 0,
                   const char* default_value = nullptr) {
  return {name, type, flags, default_value, "Some option", 0, 0, nullptr};
}

OptionTable copy(const std::vector<tide_option>& rows) {
  return copy_options(rows.data(), rows.size(), sizeof(tide_option));
}

std::string error_of(const std::vector<tide_option>& rows) {
  try {
    copy(rows);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(CopyOptions, OwnsWhatTheDescriptorSays) {
  std::string name = "level";
  tide_option row = {name.c_str(), TIDE_TYPE_STRING, TIDE_OPTION_SECRET, "low", "How much", 0, 0, "low|high"};
  const auto table = copy_options(&row, 1, sizeof row);
  name = "XXXXX";
  ASSERT_EQ(table.size(), 1U);
  const Option* level = table.find("level");
  ASSERT_NE(level, nullptr);
  EXPECT_TRUE(level->secret());
  EXPECT_FALSE(level->required());
  EXPECT_EQ(level->default_value, "low");
  EXPECT_EQ(level->description, "How much");
  EXPECT_EQ(level->choices, (std::vector<std::string>{"low", "high"}));
  EXPECT_EQ(table.find("leve"), nullptr);
}

TEST(CopyOptions, StepsOverTheTailOfANewerPlugin) {
  struct Newer {
    tide_option base;
    std::uint64_t tail[3];
  };
  const Newer rows[] = {{option("a"), {~0ULL, ~0ULL, ~0ULL}}, {option("b", TIDE_TYPE_INT), {~0ULL, ~0ULL, ~0ULL}}};
  const auto table = copy_options(&rows[0].base, 2, sizeof(Newer));
  ASSERT_EQ(table.size(), 2U);
  EXPECT_EQ(table.find("b")->type, TIDE_TYPE_INT);
}

TEST(CopyOptions, ReadsRowsThatAreNotAligned) {
  std::vector<char> bytes(2 * (sizeof(tide_option) + 1));
  const tide_option rows[] = {option("a"), option("b")};
  std::memcpy(bytes.data(), &rows[0], sizeof(tide_option));
  std::memcpy(bytes.data() + sizeof(tide_option) + 1, &rows[1], sizeof(tide_option));
  const auto table = copy_options(reinterpret_cast<const tide_option*>(bytes.data()), 2, sizeof(tide_option) + 1);
  EXPECT_NE(table.find("b"), nullptr);
}

TEST(CopyOptions, RefusesWhatIsNoArrayOfOptions) {
  const tide_option row = option("a");
  EXPECT_EQ(copy_options(nullptr, 0, 0).size(), 0U);
  EXPECT_THROW(copy_options(nullptr, 1, sizeof row), Error);
  EXPECT_THROW(copy_options(&row, 1, 0), Error);
  EXPECT_THROW(copy_options(&row, 1, 8), Error);
  EXPECT_THROW(copy_options(&row, ~0ULL, sizeof row), Error);
}

TEST(CopyOptions, TellsEveryFaultOfATable) {
  const std::string error = error_of({option("Upper"), option("a", 9), option("b", TIDE_TYPE_INT, 0, "ten")});
  EXPECT_NE(error.find("'Upper' needs a lower_case name"), std::string::npos) << error;
  EXPECT_NE(error.find("'a' has the type 9"), std::string::npos) << error;
  EXPECT_NE(error.find("'b' has a wrong default: it must be an integer"), std::string::npos) << error;
}

TEST(CopyOptions, RefusesBrokenRows) {
  tide_option no_name = option("a");
  no_name.name = nullptr;
  tide_option no_description = option("a");
  no_description.description = nullptr;
  tide_option pipe = option("a");
  pipe.description = "a|b";
  tide_option range = option("a", TIDE_TYPE_INT, 0, "5");
  range.min_value = 10;
  range.max_value = 20;
  tide_option reversed = option("a", TIDE_TYPE_INT);
  reversed.min_value = 2;
  reversed.max_value = 1;
  tide_option choice = option("a", TIDE_TYPE_STRING, 0, "x");
  choice.choices = "y|z";
  const std::vector<std::pair<tide_option, std::string>> cases = {
      {no_name, "row 1 has no name"},
      {no_description, "no description"},
      {pipe, "'|'"},
      {range, "must be 10 to 20, not 5"},
      {reversed, "minimum above its maximum"},
      {choice, "must be 'y' or 'z'"},
      {option("a", TIDE_TYPE_BOOL, 0, "yes"), "must be true or false"},
      {option("a", TIDE_TYPE_JSON, 0, "{"), "not valid JSON"},
      {option("a", TIDE_TYPE_INT, TIDE_OPTION_TEMPLATE), "is a template but not a string"},
      {option("a", TIDE_TYPE_STRING, TIDE_OPTION_VERBATIM), "is verbatim but not a template"},
      {option("a", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED, "x"), "is required and has a default"},
      {option(""), "needs a lower_case name"},
      {option("a."), "needs a lower_case name"},
      {option(".a"), "needs a lower_case name"},
      {option("a..b"), "needs a lower_case name"},
      {option("a b"), "needs a lower_case name"},
  };
  for (const auto& [row, expected] : cases)
    EXPECT_NE(error_of({row}).find(expected), std::string::npos) << error_of({row});
}

TEST(CopyOptions, RefusesNamesThatClash) {
  EXPECT_NE(error_of({option("a"), option("a")}).find("'a' is there twice"), std::string::npos);
  EXPECT_NE(error_of({option("a"), option("a.b")}).find("'a' is also a group"), std::string::npos);
  for (const char* name : {"sink_type", "batch_size", "retry", "retry.max_ms", "start.at"}) {
    EXPECT_NE(error_of({option(name)}).find("is the relay's own"), std::string::npos) << name;
  }
  EXPECT_EQ(error_of({option("retry.jitter"), option("ab"), option("a.b")}), "no error");
}

TEST(Option, ChecksRangesAndChoicesWithoutTellingSecrets) {
  Option number;
  number.type = TIDE_TYPE_INT;
  EXPECT_EQ(number.fault(std::int64_t{-5}), std::nullopt);
  number.min_value = 1;
  number.max_value = 9;
  EXPECT_EQ(number.fault(std::int64_t{9}), std::nullopt);
  EXPECT_EQ(number.fault(std::int64_t{10}), "must be 1 to 9, not 10");
  number.flags = TIDE_OPTION_SECRET;
  EXPECT_EQ(number.fault(std::int64_t{10}), "must be 1 to 9");
  Option choice;
  EXPECT_EQ(choice.fault("anything"), std::nullopt);
  choice.choices = {"a", "b"};
  EXPECT_EQ(choice.fault("a"), std::nullopt);
  EXPECT_EQ(choice.fault("hunter2"), "must be 'a' or 'b'");
}

TEST(DefaultValue, HasTheOptionsType) {
  const auto table = copy({option("s", TIDE_TYPE_STRING, 0, "x"), option("i", TIDE_TYPE_INT, 0, "-7"),
                           option("b", TIDE_TYPE_BOOL, 0, "true"), option("j", TIDE_TYPE_JSON, 0, "[1]"),
                           option("none"), option("empty", TIDE_TYPE_STRING, 0, "")});
  EXPECT_EQ(default_value(*table.find("s")).string, "x");
  EXPECT_EQ(default_value(*table.find("i")).integer, -7);
  EXPECT_EQ(default_value(*table.find("b")).integer, 1);
  EXPECT_EQ(default_value(*table.find("j")).string, "[1]");
  EXPECT_FALSE(default_value(*table.find("none")).is_set);
  EXPECT_TRUE(default_value(*table.find("empty")).is_set);
}

TEST(CoreOptions, AreThoseOfTheSpecification) {
  const auto& core = core_options();
  ASSERT_EQ(core.size(), 13U);
  EXPECT_TRUE(core.find("sink_type")->required());
  EXPECT_EQ(core.find("batch_size")->default_value, "100");
  EXPECT_EQ(core.find("start")->default_value, "earliest");
  EXPECT_EQ(core.find("on_reject")->default_value, "dead_letter");
  EXPECT_EQ(core.find("message_id")->default_value, "{dedup_key}");
  EXPECT_EQ(core.find("format")->default_value, "raw");
  EXPECT_EQ(core.find("cloudevents_mode")->default_value, "binary");
  EXPECT_EQ(core.find("cloudevents_type")->default_value, "{stream_table}.{op}");
  EXPECT_EQ(core.find("cloudevents_source")->default_value, "/tide/{outbox}");
  EXPECT_FALSE(core.find("debezium_fields")->default_value.has_value());
  EXPECT_FALSE(core.find("routes")->default_value.has_value());
  EXPECT_EQ(core.find("retry.initial_ms")->default_value, "100");
  EXPECT_EQ(core.find("retry.max_ms")->default_value, "30000");
}

TEST(ReferenceTable, IsLaidOutAsInTheSpecification) {
  const auto table = copy({option("url", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED), option("token"),
                           option("tls_enabled", TIDE_TYPE_BOOL, 0, "false"), option("extra", TIDE_TYPE_JSON)});
  const std::string text = reference_table(table, "nats");
  EXPECT_EQ(text.find("| Parameter | Type | Default | Description |\n"
                      "|---|---|---|---|\n"
                      "| sink_type | string | — | Must be \"nats\" |\n"
                      "| url | string | — | Some option |\n"
                      "| token | string | null | Some option |\n"
                      "| tls_enabled | bool | false | Some option |\n"
                      "| extra | json | null | Some option |\n"
                      "| batch_size | int | 100 | Messages per batch |\n"
                      "| start | string | earliest | "),
            0U)
      << text;
  EXPECT_NE(text.find("| retry.max_ms | int | 30000 | "), std::string::npos);
  EXPECT_NE(reference_table({}, "nats|jetstream").find("Must be \"nats\" or \"jetstream\""), std::string::npos);
}

}  // namespace
}  // namespace tide
