#include <gtest/gtest.h>

#include "config/config_file.hpp"
#include "config/sink_config.hpp"

namespace tide {
namespace {

const EnvPolicy kEnv = EnvPolicy::any([](const std::string& name) -> std::optional<std::string> {
  if (name == "REGION") return "eu";
  if (name == "BAD") return "hunter2{";
  return std::nullopt;
});

OptionTable nats() {
  const tide_option rows[] = {
      {"subject", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED | TIDE_OPTION_TEMPLATE, nullptr, "Subject", 0, 0, nullptr},
      {"stream", TIDE_TYPE_STRING, 0, nullptr, "Stream", 0, 0, nullptr},
      {"reply", TIDE_TYPE_STRING, TIDE_OPTION_TEMPLATE, nullptr, "Reply", 0, 0, nullptr},
      {"key", TIDE_TYPE_STRING, TIDE_OPTION_TEMPLATE | TIDE_OPTION_VERBATIM, nullptr, "Key", 0, 0, nullptr},
  };
  return copy_options(rows, std::size(rows), sizeof(tide_option));
}

PipelineSpec spec(const std::string& routes, const std::string& more = {}) {
  PipelineSpec result;
  result.name = "p";
  result.outbox = "orders";
  result.where = "pipeline 'p'";
  result.sink = parse_json(R"({"sink_type": "nats", "subject": "own.{op}", "routes": )" + routes + more + "}");
  return result;
}

SinkConfig valid(const std::string& routes, const std::string& more = {}) {
  return validate(spec(routes, more), nats(), kEnv);
}

std::vector<std::string> faults_of(const PipelineSpec& pipeline) {
  std::vector<std::string> faults;
  try {
    validate(pipeline, nats(), kEnv);
  } catch (const ConfigError& error) {
    for (const auto& problem : error.problems()) faults.push_back(problem.where + ": " + problem.text);
  }
  return faults;
}

// The one fault of a list with one rule.
std::string fault_of(const std::string& rule, const std::string& more = {}) {
  const auto faults = faults_of(spec("[" + rule + "]", more));
  if (faults.size() != 1) return std::to_string(faults.size()) + " faults";
  return faults[0].substr(faults[0].find("routes[0]"));
}

std::string fault_of_condition(const std::string& condition) {
  return fault_of(R"({"when": {)" + condition + R"(}, "drop": true})");
}

std::optional<std::string> render(const SinkConfig& config, const std::string& op, const std::string& payload,
                                  const std::string& headers, RenderedMessage& out) {
  Event e;
  e.id = 1;
  e.outbox = "orders";
  e.stream_table = "orders";
  e.key = "k";
  e.op = op;
  e.payload = payload;
  e.headers = headers;
  return Renderer(config.rendering).render(e, out);
}

// What becomes of an event: its subject, or "dropped".
std::string routed(const SinkConfig& config, const std::string& op, const std::string& payload = "{}",
                   const std::string& headers = "{}") {
  RenderedMessage out;
  if (const auto why = render(config, op, payload, headers, out)) return *why;
  return out.dropped ? "dropped" : out.fields.at(0) + (out.key.empty() ? "" : " " + out.key);
}

TEST(Routes, TheFirstMatchTakesTheEventAndTheSinkItselfTheRest) {
  const auto config = valid(R"([
    {"name": "noise", "when": {"op": "delete"}, "drop": true},
    {"when": {"payload.region": ["eu", "ch"], "payload.amount": {"gte": 100, "lt": 1000}}, "subject": "big.{payload.region}"},
    {"when": {"payload.region": "${env:REGION}"}, "subject": "eu.{op}"},
    {"when": {"header.tenant": {"exists": true, "not": ["a", "b"]}}, "subject": "t.{header.tenant}"}])");
  EXPECT_EQ(routed(config, "delete", R"({"region": "eu"})"), "dropped");
  EXPECT_EQ(routed(config, "insert", R"({"region": "ch", "amount": 100})"), "big.ch");
  EXPECT_EQ(routed(config, "insert", R"({"region": "ch", "amount": 1000})"), "own.insert");
  EXPECT_EQ(routed(config, "insert", R"({"region": "eu", "amount": 1})"), "eu.insert");
  EXPECT_EQ(routed(config, "insert", "{}", R"({"tenant": "c"})"), "t.c");
  EXPECT_EQ(routed(config, "insert", "{}", R"({"tenant": "b"})"), "own.insert");
  EXPECT_EQ(routed(config, "insert"), "own.insert");
}

TEST(Routes, AVerbatimOptionKeepsValuesAsTheyAre) {
  const auto config = valid(R"([{"when": {"op": "a"}, "subject": "{payload.v}", "key": "a/{payload.v}"}])",
                            R"(, "key": "{payload.v}")");
  for (const std::string op : {"a", "b"}) {
    RenderedMessage out;
    ASSERT_EQ(render(config, op, R"({"v": ".x y@z.org*>"})", "{}", out), std::nullopt);
    EXPECT_EQ(out.fields.at(0), op == "a" ? "_x_y@z_org__" : "own.b");
    EXPECT_EQ(out.fields.at(2), op == "a" ? "a/.x y@z.org*>" : ".x y@z.org*>");
  }
}

TEST(Routes, EveryOperatorWorks) {
  const std::vector<std::pair<std::string, bool>> cases = {
      {R"({"exists": true})", true},    {R"({"exists": false})", false},     {R"({"not": "eu-west"})", false},
      {R"({"not": ["a", "b"]})", true}, {R"({"prefix": "eu"})", true},       {R"({"prefix": "us"})", false},
      {R"({"suffix": "west"})", true},  {R"({"suffix": "east"})", false},    {R"({"gt": "eu"})", true},
      {R"({"gt": "eu-west"})", false},  {R"({"gte": "eu-west"})", true},     {R"({"lt": "eu-west"})", false},
      {R"({"lte": "eu-west"})", true},  {R"({"gt": "a", "lt": "f"})", true}, {R"({"gt": "a", "lt": "b"})", false},
  };
  for (const auto& [test, holds] : cases) {
    const auto config = valid(R"([{"when": {"payload.r": )" + test + R"(}, "drop": true}])");
    EXPECT_EQ(routed(config, "x", R"({"r": "eu-west"})"), holds ? "dropped" : "own.x") << test;
  }
}

TEST(Routes, ARouteMayGiveTheMessageItsOwnId) {
  const auto config =
      valid(R"([{"when": {"op": "a"}, "subject": "a", "message_id": "{dedup_key}/a"}, {"when": {"op": "b"},
    "message_id": "{dedup_key}/{pipeline}"}])");
  EXPECT_EQ(routed(config, "a"), "a k/a");
  EXPECT_EQ(routed(config, "b"), "own.b k/p");
  EXPECT_EQ(routed(config, "c"), "own.c");
}

TEST(Routes, TheLastOneMayTakeTheRest) {
  EXPECT_EQ(routed(valid(R"([{"when": {"op": "a"}, "subject": "a"}, {"drop": true}])"), "b"), "dropped");
  EXPECT_EQ(routed(valid(R"([{"when": {}, "subject": "all"}])"), "b"), "all");
}

TEST(Routes, ThePluginSeesEveryTextThatAnOptionCanHave) {
  using Texts = std::vector<std::string>;
  const auto texts = [](const std::string& routes) {
    const auto config = valid(routes);
    Texts all{config.values[0].string};
    all.insert(all.end(), config.values[0].alternatives.begin(), config.values[0].alternatives.end());
    return all;
  };
  EXPECT_EQ(texts("[]"), (Texts{"own.\x1a"}));
  EXPECT_EQ(
      texts(R"([{"when": {"op": "a"}, "subject": "eu.{outbox}"}, {"when": {"op": "b"}, "subject": "us.{payload.t>}"},
    {"when": {"op": "c"}, "subject": "eu.{outbox}"}, {"when": {"op": "d"}, "drop": true}])"),
      (Texts{"own.\x1a", "eu.orders", "us.\x1c"}));
  EXPECT_EQ(texts(R"([{"when": {"op": "a"}, "subject": "a"}, {"subject": "rest"}])"), (Texts{"a", "rest"}))
      << "no event is left to the sink's own subject";
  EXPECT_EQ(texts(R"([{"drop": true}])"), (Texts{"own.\x1a"}));
  const auto config = valid(R"([{"when": {"op": "a"}, "reply": "r"}])");
  EXPECT_TRUE(config.values[2].is_set);
  EXPECT_EQ(config.values[2].string, "r");
}

TEST(Routes, AllFaultsOfAllRulesAreToldAtOnce) {
  const auto faults = faults_of(spec(R"([
    {"name": "eu orders", "when": {"payload.region": null, "colour": "red"}, "subjct": "x"},
    7,
    {"when": {"op": 5}, "subject": "{oops}"}])"));
  const std::vector<std::string> expected = {
      R"(pipeline 'p', routes[0] "eu orders", key 'when.payload.region': null is said with {"exists": false})",
      R"(pipeline 'p', routes[0] "eu orders", key 'when.colour': is no value of an event; known are op, stream_table, )"
      "dedup_key, header.NAME and payload.FIELD",
      R"(pipeline 'p', routes[0] "eu orders", key 'subjct': unknown key; did you mean 'subject'?)",
      "pipeline 'p', routes[1]: must be an object, not an integer",
      "pipeline 'p', routes[2], key 'when.op': must be a string, not an integer",
  };
  ASSERT_EQ(faults.size(), 6U) << ::testing::PrintToString(faults);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(faults[i], expected[i]);
  EXPECT_EQ(faults[5].find("pipeline 'p', routes[2], key 'subject': unknown variable {oops} at column 1"), 0U);
}

TEST(Routes, WhatARuleMayNotSayIsRefused) {
  EXPECT_EQ(fault_of(R"({"when": {"op": "a"}})"),
            "routes[0]: says nothing about the event: give it `\"drop\": true`, or one of `subject`, `reply`, `key`, "
            "`message_id`, `cloudevents_type`, `cloudevents_source`");
  EXPECT_EQ(fault_of(R"({"when": {"op": "a"}, "drop": false})").find("routes[0]: says nothing"), 0U);
  EXPECT_EQ(fault_of(R"({"drop": true, "subject": "x"})"),
            "routes[0], key 'drop': is true, so nothing else but `name` and `when` may be there");
  EXPECT_EQ(fault_of(R"({"drop": "yes"})"), "routes[0], key 'drop': must be a boolean, not a string");
  EXPECT_EQ(fault_of(R"({"name": 5, "drop": true})"), "routes[0], key 'name': must be a string, not an integer");
  EXPECT_EQ(fault_of(R"({"when": [], "drop": true})"), "routes[0], key 'when': must be an object, not an array");
  EXPECT_EQ(fault_of(R"({"subject": 5})"), "routes[0], key 'subject': must be a string, not an integer");
  EXPECT_EQ(fault_of(R"({"subject": ""})"), "routes[0], key 'subject': the template is empty");
  EXPECT_EQ(fault_of(R"({"stream": "X", "subject": "x"})").find("routes[0], key 'stream': unknown key"), 0U);
  EXPECT_EQ(fault_of(R"({"cloudevents_type": "x"})"),
            "routes[0], key 'cloudevents_type': means something only with \"format\": \"cloudevents\"");
  EXPECT_EQ(fault_of(R"({"cloudevents_type": "x"})", R"(, "format": "cloudevents")"), "0 faults");
  EXPECT_EQ(faults_of(spec(R"({"drop": true})")),
            std::vector<std::string>{"pipeline 'p', key 'routes': must be a list of rules, not an object"});
  EXPECT_TRUE(faults_of(spec("null")).empty());
}

TEST(Routes, WhatIsNoConditionIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("payload": {"region": "eu"})", "when.payload': the path to a value is one key: \"payload.NAME\""},
      {R"("payload.a..b": 1)", "when.payload.a..b': is no value of an event"},
      {R"("outbox_id": 1)", "when.outbox_id': is no value of an event"},
      {R"("payload.a": [])", "when.payload.a': must not be empty"},
      {R"("payload.a": {})", "when.payload.a': has no operator"},
      {R"("payload.a": [["b"]])",
       "when.payload.a': must be a string, a number, a boolean or a list of these, not an array"},
      {R"("payload.a": {"not": {"gt": 1}})",
       "when.payload.a.not': must be a string, a number, a boolean or a list of these, not an object"},
      {R"("payload.a": {"gtt": 1})",
       "when.payload.a.gtt': unknown operator; did you mean 'gt'?; known are exists, not, prefix, suffix, gt, gte, lt, "
       "lte"},
      {R"("payload.a": {"exists": "yes"})", "when.payload.a.exists': must be true or false, not a string"},
      {R"("payload.a": {"prefix": 5})", "when.payload.a.prefix': must be a string, not an integer"},
      {R"("payload.a": {"gt": true})", "when.payload.a.gt': must be a number or a string, not a boolean"},
      {R"("payload.a": {"gt": [1]})", "when.payload.a.gt': must be a number or a string, not an array"},
      {R"("dedup_key": {"gt": 1})", "when.dedup_key.gt': must be a string, not an integer"},
      {R"("op": "${env:MISSING}")", "when.op': the environment variable MISSING is not set"},
  };
  for (const auto& [condition, expected] : cases) {
    const auto fault = fault_of_condition(condition);
    EXPECT_EQ(fault.find("routes[0], key '" + expected), 0U) << condition << ": " << fault;
  }
}

TEST(Routes, ARuleThatHidesLaterOnesIsRefused) {
  const auto faults = faults_of(spec(R"([{"subject": "all"}, {"when": {"op": "a"}, "drop": true}])"));
  EXPECT_EQ(faults,
            std::vector<std::string>{"pipeline 'p', routes[0]: takes every event, so that no later rule is reached: "
                                     "give it a `when`, or put it last"});
}

TEST(Routes, NoFaultHoldsWhatCameOutOfAVariable) {
  EXPECT_EQ(fault_of(R"({"subject": "${env:BAD}"})"),
            "routes[0], key 'subject': the template is wrong at column 8 of its expanded text");
}

TEST(Routes, AFileTellsTheLine) {
  const std::string head =
      "[pipelines.p]\noutbox = 'orders'\ngroup = 'g'\n[pipelines.p.sink]\nsink_type = 'nats'\nsubject = 'own'\n";
  auto config = parse_config(
      head +
          "[[pipelines.p.sink.routes]]\nname = 'eu'\nwhen = { 'payload.region' = 'eu', op = ['a'] }\n"
          "subject = 'eu'\n[[pipelines.p.sink.routes]]\nwhen = { 'payload.n' = { gt = 1.5 } }\ndrop = true\n",
      "relay.toml", kEnv);
  const auto sink = validate(config.pipelines[0], nats(), kEnv);
  EXPECT_EQ(routed(sink, "a", R"({"region": "eu"})"), "eu");
  EXPECT_EQ(routed(sink, "b", R"({"n": 2})"), "dropped");

  config = parse_config(head + "[[pipelines.p.sink.routes]]\nname = 'eu'\nwhen.payload.region = 'eu'\ndrop = true\n",
                        "relay.toml", kEnv);
  EXPECT_EQ(
      faults_of(config.pipelines[0]),
      std::vector<std::string>{"relay.toml:9: pipeline 'p', routes[0] \"eu\", key 'when.payload': the path to a value "
                               "is one key: \"payload.NAME\""});
}

}  // namespace
}  // namespace tide
