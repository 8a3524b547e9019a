#include "config/env.hpp"

#include <gtest/gtest.h>

#include <map>

namespace tide {
namespace {

std::optional<std::string> fake(const std::string& name) {
  static const std::map<std::string, std::string> kVariables = {{"NATS_URL", "nats://h:4222"}, {"EMPTY", ""},
                                                                {"NESTED", "${env:NATS_URL}"}, {"TIDE_X", "x"},
                                                                {"SECRET", "hunter2"},         {"_a9", "under"}};
  const auto found = kVariables.find(name);
  return found == kVariables.end() ? std::nullopt : std::optional(found->second);
}

struct Result {
  std::string text;
  Problems problems;
};

Result expand(std::string_view text, const EnvPolicy& policy = EnvPolicy::any(fake)) {
  Result result;
  result.text = expand_env(text, policy, "pipeline 'p', key 'k'", result.problems);
  return result;
}

TEST(ExpandEnv, ReplacesReferencesAndKeepsTheRest) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},
      {"plain", "plain"},
      {"${env:NATS_URL}", "nats://h:4222"},
      {"$<env:NATS_URL>", "nats://h:4222"},
      {"a${env:TIDE_X}b$<env:TIDE_X>c", "axbxc"},
      {"${env:_a9}", "under"},
      {"[${env:EMPTY}]", "[]"},
      {"$", "$"},
      {"$$", "$$"},
      {"cost: 5$ a$b $(x) $env:A", "cost: 5$ a$b $(x) $env:A"},
      {"{env:TIDE_X}", "{env:TIDE_X}"},
      {"$${env:TIDE_X}", "${env:TIDE_X}"},
      {"$$<env:TIDE_X>", "$<env:TIDE_X>"},
      {"$${", "${"},
      {"$$${env:TIDE_X}", "$${env:TIDE_X}"},
      {"$${${env:TIDE_X}", "${x"},
      {"é${env:TIDE_X}😀", "éx😀"},
      {"events.{op}", "events.{op}"},
  };
  for (const auto& [text, expected] : cases) {
    const auto result = expand(text);
    EXPECT_EQ(result.text, expected) << text;
    EXPECT_TRUE(result.problems.empty()) << text;
  }
}

TEST(ExpandEnv, DoesNotExpandWhatAVariableHolds) {
  EXPECT_EQ(expand("${env:NESTED}").text, "${env:NATS_URL}");
}

TEST(ExpandEnv, NamesTheMissingVariableAndThePlace) {
  const auto result = expand("${env:NO_SUCH} and $<env:NEITHER>");
  ASSERT_EQ(result.problems.size(), 2U);
  EXPECT_EQ(result.problems[0].where, "pipeline 'p', key 'k'");
  EXPECT_EQ(result.problems[0].text, "the environment variable NO_SUCH is not set");
  EXPECT_EQ(result.problems[1].text, "the environment variable NEITHER is not set");
}

TEST(ExpandEnv, RefusesMalformedReferencesWithoutQuotingThem) {
  for (const char* text :
       {"${env:", "${env:}", "${other:hunter2}", "${hunter2}", "${", "$<", "$<env:hunter2", "${env:hunter2>",
        "${env:1hunter2}", "${env:hunter2 x}", "${ENV:hunter2}", "${env: hunter2}", "${}", "${env:a-hunter2}"}) {
    const auto result = expand(std::string("pw") + text);
    ASSERT_EQ(result.problems.size(), 1U) << text;
    EXPECT_EQ(result.problems[0].text.find("hunter2"), std::string::npos) << text;
    EXPECT_NE(result.problems[0].text.find("at byte 3"), std::string::npos) << result.problems[0].text;
  }
}

TEST(ExpandEnv, NoProblemHoldsAnExpandedValue) {
  const auto result = expand("${env:SECRET}${env:MISSING}${bad}");
  ASSERT_EQ(result.problems.size(), 2U);
  for (const auto& problem : result.problems)
    EXPECT_EQ((problem.where + problem.text).find("hunter2"), std::string::npos);
}

TEST(ExpandEnv, TheCatalogReadsOnlyAllowedVariables) {
  const auto policy = EnvPolicy::only({"NATS_*", "TIDE_?"}, fake);
  EXPECT_EQ(expand("${env:NATS_URL}${env:TIDE_X}", policy).text, "nats://h:4222x");
  const auto denied = expand("${env:SECRET}", policy);
  ASSERT_EQ(denied.problems.size(), 1U);
  EXPECT_NE(denied.problems[0].text.find("SECRET"), std::string::npos);
  EXPECT_NE(denied.problems[0].text.find("env_allow"), std::string::npos);
  EXPECT_NE(denied.problems[0].text.find("[catalog]"), std::string::npos);
  EXPECT_EQ(denied.text, "");
}

TEST(ExpandEnv, ADeniedVariableDoesNotTellWhetherItIsSet) {
  const auto policy = EnvPolicy::only({}, fake);
  const auto present = expand("${env:SECRET}", policy).problems.at(0).text;
  const auto absent = expand("${env:ABSENT}", policy).problems.at(0).text;
  EXPECT_NE(present.find("is not open"), std::string::npos);
  EXPECT_NE(absent.find("is not open"), std::string::npos);
}

TEST(ExpandEnv, PatternsMatchTheWholeName) {
  const auto policy = EnvPolicy::only({"NATS_*"});
  EXPECT_TRUE(policy.allows("NATS_"));
  EXPECT_TRUE(policy.allows("NATS_URL"));
  EXPECT_FALSE(policy.allows("MY_NATS_URL"));
  EXPECT_FALSE(policy.allows("nats_url"));
  EXPECT_FALSE(policy.allows("NATS"));
  EXPECT_FALSE(EnvPolicy::only({}).allows("X"));
  EXPECT_TRUE(EnvPolicy::only({"*"}).allows("X"));
  EXPECT_TRUE(EnvPolicy::any().allows("X"));
}

TEST(ExpandEnv, ReachesEveryStringOfATreeButNoKey) {
  Value value = parse_json(R"({"${env:TIDE_X}": ["${env:TIDE_X}", {"b": "$<env:TIDE_X>"}, 1, null, true]})");
  Problems problems;
  expand_env(value, EnvPolicy::any(fake), "here", problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(to_json(value), R"({"${env:TIDE_X}":["x",{"b":"x"},1,null,true]})");
}

TEST(ExpandEnv, TakesHugeTextInItsStride) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "${env:TIDE_X}";
  EXPECT_EQ(expand(text).text, std::string(100000, 'x'));
  EXPECT_EQ(expand(std::string(1000000, '$')).text.size(), 1000000U);
}

TEST(ExpandEnv, ReadsTheProcessEnvironment) {
  ASSERT_EQ(setenv("TIDE_ENV_TEST", "yes", 1), 0);
  EXPECT_EQ(expand("${env:TIDE_ENV_TEST}", EnvPolicy::any()).text, "yes");
  ASSERT_EQ(unsetenv("TIDE_ENV_TEST"), 0);
  EXPECT_EQ(expand("${env:TIDE_ENV_TEST}", EnvPolicy::any()).problems.size(), 1U);
}

}  // namespace
}  // namespace tide
