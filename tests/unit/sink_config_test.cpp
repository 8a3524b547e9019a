#include "config/sink_config.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>

namespace tide {
namespace {

std::optional<std::string> fake(const std::string& name) {
  static const std::map<std::string, std::string> kVariables = {
      {"URL", "nats://h:4222"},   {"SECRET", "hunter2"},
      {"LATIN1", "\xe9"},         {"EMPTY", ""},
      {"SUBJECT", "events.{op}"}, {"BAD_SUBJECT", "hunter2.{oops}"},
      {"BRACE", "{hunter2"}};
  const auto found = kVariables.find(name);
  return found == kVariables.end() ? std::nullopt : std::optional(found->second);
}

const EnvPolicy kEnv = EnvPolicy::any(fake);

OptionTable nats() {
  const tide_option rows[] = {
      {"url", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED, nullptr, "URLs", 0, 0, nullptr},
      {"subject", TIDE_TYPE_STRING, TIDE_OPTION_REQUIRED | TIDE_OPTION_TEMPLATE, nullptr, "Subject", 0, 0, nullptr},
      {"stream", TIDE_TYPE_STRING, 0, nullptr, "Stream", 0, 0, nullptr},
      {"password", TIDE_TYPE_STRING, TIDE_OPTION_SECRET, nullptr, "Password", 0, 0, nullptr},
      {"pin", TIDE_TYPE_INT, TIDE_OPTION_SECRET, nullptr, "Pin", 1, 9, nullptr},
      {"tls.enabled", TIDE_TYPE_BOOL, 0, "false", "TLS", 0, 0, nullptr},
      {"tls.mode", TIDE_TYPE_STRING, 0, "strict", "Mode", 0, 0, "strict|lax"},
      {"reply", TIDE_TYPE_STRING, TIDE_OPTION_TEMPLATE, nullptr, "Reply", 0, 0, nullptr},
      {"extra", TIDE_TYPE_JSON, 0, nullptr, "Extra", 0, 0, nullptr},
  };
  return copy_options(rows, std::size(rows), sizeof(tide_option));
}

PipelineSpec spec(std::string_view json) {
  PipelineSpec result;
  result.name = "p";
  result.outbox = "orders";
  result.group = "g";
  result.where = "pipeline 'p'";
  result.sink = parse_json(json);
  return result;
}

SinkConfig valid(std::string_view json) {
  return validate(spec(json), nats(), kEnv);
}

Problems problems_of(const PipelineSpec& pipeline) {
  try {
    validate(pipeline, nats(), kEnv);
  } catch (const ConfigError& error) {
    return error.problems();
  }
  return {};
}

// The one problem of a configuration that is the minimal one plus `more`.
std::string problem_of(const std::string& more) {
  const auto problems = problems_of(spec(R"({"sink_type": "nats", "url": "u", "subject": "s", )" + more + "}"));
  if (problems.size() != 1) return std::to_string(problems.size()) + " problems";
  return problems[0].where + ": " + problems[0].text;
}

const OptionValue& value_of(const SinkConfig& config, std::string_view name) {
  for (const auto& value : config.values) {
    if (value.name == name) return value;
  }
  throw Error("no value " + std::string(name));
}

TEST(SinkConfig, TheMinimalConfigurationGetsTheDefaults) {
  const auto config = valid(R"({"sink_type": "nats", "url": "nats://h", "subject": "orders.events"})");
  EXPECT_EQ(config.settings.sink_type, "nats");
  EXPECT_EQ(config.settings.batch_size, 100);
  EXPECT_EQ(config.settings.start, Start::earliest);
  EXPECT_EQ(config.settings.on_reject, OnReject::dead_letter);
  EXPECT_EQ(config.settings.retry_initial.count(), 100);
  EXPECT_EQ(config.settings.retry_max.count(), 30000);
  ASSERT_EQ(config.values.size(), nats().size());
  std::size_t i = 0;
  for (const auto& option : nats()) {
    EXPECT_EQ(config.values[i].name, option.name);
    EXPECT_EQ(config.values[i].type, option.type);
    ++i;
  }
  EXPECT_EQ(value_of(config, "url").string, "nats://h");
  EXPECT_FALSE(value_of(config, "stream").is_set);
  EXPECT_EQ(value_of(config, "tls.mode").string, "strict");
  EXPECT_TRUE(value_of(config, "tls.enabled").is_set);
}

TEST(SinkConfig, EverythingThatIsSetArrives) {
  const auto config =
      valid(R"({"sink_type": "nats", "url": "${env:URL}", "subject": "e.{outbox}.{op}", "password": "${env:SECRET}",
      "pin": 3, "tls": {"enabled": true, "mode": "lax"}, "extra": {"a": ["${env:URL}", 1.5]}, "batch_size": 200,
      "start": "latest", "on_reject": "stop", "retry": {"initial_ms": 5}, "retry.max_ms": 10})");
  EXPECT_EQ(value_of(config, "url").string, "nats://h:4222");
  EXPECT_EQ(value_of(config, "subject").string, "e.orders.\x1a");
  EXPECT_EQ(value_of(config, "password").string, "hunter2");
  EXPECT_EQ(value_of(config, "pin").integer, 3);
  EXPECT_EQ(value_of(config, "tls.enabled").integer, 1);
  EXPECT_EQ(value_of(config, "tls.mode").string, "lax");
  EXPECT_EQ(value_of(config, "extra").string, R"({"a":["nats://h:4222",1.5]})");
  EXPECT_EQ(config.settings.batch_size, 200);
  EXPECT_EQ(config.settings.start, Start::latest);
  EXPECT_EQ(config.settings.on_reject, OnReject::stop);
  EXPECT_EQ(config.settings.retry_initial.count(), 5);
  EXPECT_EQ(config.settings.retry_max.count(), 10);
}

TEST(SinkConfig, TemplatesComeInOptionOrderWithTheUnsetOnes) {
  const auto config = valid(R"({"sink_type": "nats", "url": "u", "subject": "${env:SUBJECT}"})");
  ASSERT_EQ(config.rendering.message.fields.size(), 2U);
  EXPECT_EQ(config.rendering.message.fields[0].name, "subject");
  ASSERT_TRUE(config.rendering.message.fields[0].text.has_value());
  EXPECT_EQ(config.rendering.message.fields[0].text->shape("orders"), "events.\x1a");
  EXPECT_EQ(config.rendering.message.fields[1].name, "reply");
  EXPECT_FALSE(config.rendering.message.fields[1].text.has_value());
}

TEST(SinkConfig, NullMeansNotSet) {
  const auto config =
      valid(R"({"sink_type": "nats", "url": "u", "subject": "s", "stream": null, "batch_size": null, "tls": null,
      "reply": null, "extra": null})");
  EXPECT_FALSE(value_of(config, "stream").is_set);
  EXPECT_FALSE(value_of(config, "extra").is_set);
  EXPECT_EQ(config.settings.batch_size, 100);
  const auto problems = problems_of(spec(R"({"sink_type": "nats", "url": null, "subject": "s"})"));
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].text, "is missing; it must be a string");
}

TEST(SinkConfig, EveryProblemIsToldAtOnce) {
  const auto problems =
      problems_of(spec(R"({"urll": "x", "subject": "{oops}", "batch_size": "many", "tls": {"mode": "odd"},
      "password": "${env:MISSING}", "retry": 5})"));
  std::string all;
  for (const auto& problem : problems) all += problem.where + ": " + problem.text + "\n";
  EXPECT_EQ(problems.size(), 8U) << all;
  for (const char* expected :
       {"pipeline 'p', key 'urll': unknown key; did you mean 'url'?", "key 'retry': must be an object, not an integer",
        "key 'sink_type': is missing; it must be a string", "key 'url': is missing",
        "key 'subject': unknown variable {oops} at column 1", "key 'batch_size': must be an integer, not a string",
        "key 'tls.mode': must be 'strict' or 'lax'", "key 'password': the environment variable MISSING is not set"}) {
    EXPECT_NE(all.find(expected), std::string::npos) << expected << "\n" << all;
  }
}

TEST(SinkConfig, WrongTypesSayWhatWasExpectedAndFound) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("stream": 5)", "'stream': must be a string, not an integer"},
      {R"("stream": {})", "'stream': must be a string, not an object"},
      {R"("batch_size": 5.0)", "'batch_size': must be an integer, not a number"},
      {R"("batch_size": true)", "'batch_size': must be an integer, not a boolean"},
      {R"("tls": {"enabled": "true"})", "'tls.enabled': must be a boolean, not a string"},
      {R"("tls": {"enabled": 1})", "'tls.enabled': must be a boolean, not an integer"},
      {R"("tls": [])", "'tls': must be an object, not an array"},
      {R"("password": ["hunter2"])", "'password': must be a string, not an array"},
  };
  for (const auto& [more, expected] : cases) EXPECT_EQ(problem_of(more), "pipeline 'p', key " + expected);
}

TEST(SinkConfig, RangesAndChoicesAreKept) {
  EXPECT_EQ(problem_of(R"("batch_size": 0)"), "pipeline 'p', key 'batch_size': must be 1 to 10000, not 0");
  EXPECT_EQ(problem_of(R"("batch_size": 10001)"), "pipeline 'p', key 'batch_size': must be 1 to 10000, not 10001");
  EXPECT_EQ(problem_of(R"("start": "now")"), "pipeline 'p', key 'start': must be 'earliest' or 'latest'");
  EXPECT_EQ(problem_of(R"("on_reject": "")"), "pipeline 'p', key 'on_reject': must be 'dead_letter' or 'stop'");
  EXPECT_EQ(problem_of(R"("pin": 10)"), "pipeline 'p', key 'pin': must be 1 to 9");
  EXPECT_EQ(problem_of(R"("retry": {"initial_ms": 40000})"),
            "pipeline 'p', key 'retry.initial_ms': must not be above retry.max_ms (30000)");
}

TEST(SinkConfig, UnknownKeysAreFoundAtAnyDepth) {
  EXPECT_EQ(problem_of(R"("tls": {"enable": true})"),
            "pipeline 'p', key 'tls.enable': unknown key; did you mean 'tls.enabled'?");
  EXPECT_EQ(problem_of(R"("passwrd": "hunter2")"),
            "pipeline 'p', key 'passwrd': unknown key; did you mean 'password'?");
  EXPECT_EQ(problem_of(R"("something_else": {"url": 1})"), "pipeline 'p', key 'something_else': unknown key");
  EXPECT_EQ(problem_of(R"("URL": "x")"), "pipeline 'p', key 'URL': unknown key");
  EXPECT_EQ(problem_of(R"("url.x": "x")"), "pipeline 'p', key 'url.x': unknown key; did you mean 'url'?");
  const std::string huge = problem_of("\"" + std::string(1U << 20U, 'x') + "\": 1");
  EXPECT_LT(huge.size(), 300U);
  EXPECT_EQ(problem_of(R"("a\nb": 1)").find('\n'), std::string::npos);
}

TEST(SinkConfig, AnOptionIsSetOnce) {
  EXPECT_EQ(problem_of(R"("retry": {"max_ms": 500}, "retry.max_ms": 500)"),
            "pipeline 'p', key 'retry.max_ms': is there twice");
}

TEST(SinkConfig, TheFormatAndItsOptionsArrive) {
  const std::string begin = R"({"sink_type": "nats", "url": "u", "subject": "s")";
  const auto format = [&](const std::string& more) { return valid(begin + more + "}").rendering.format; };
  EXPECT_EQ(format("").kind, Format::Kind::raw);
  EXPECT_EQ(format(R"(, "format": "raw")").kind, Format::Kind::raw);
  EXPECT_EQ(format(R"(, "format": "cloudevents")").kind, Format::Kind::cloudevents_binary);
  EXPECT_EQ(format(R"(, "cloudevents_mode": "structured", "format": "cloudevents")").kind,
            Format::Kind::cloudevents_structured);
  const auto debezium = format(R"(, "format": "debezium", "debezium_fields": "type:header:eventType")");
  EXPECT_EQ(debezium.kind, Format::Kind::debezium);
  EXPECT_EQ(debezium.debezium_fields.size(), 1U);
  EXPECT_FALSE(valid(begin + "}").rendering.message.message_id.has_value()) << "the default costs nothing";
  EXPECT_FALSE(valid(begin + R"(, "message_id": "{dedup_key}"})").rendering.message.message_id.has_value());
  EXPECT_TRUE(valid(begin + R"(, "message_id": "{dedup_key}/a"})").rendering.message.message_id.has_value());
}

TEST(SinkConfig, AnOptionOfAnotherFormatIsRefused) {
  EXPECT_EQ(problem_of(R"("cloudevents_mode": "binary")"),
            "pipeline 'p', key 'cloudevents_mode': means something only with \"format\": \"cloudevents\"");
  EXPECT_EQ(problem_of(R"("format": "debezium", "cloudevents_type": "x")"),
            "pipeline 'p', key 'cloudevents_type': means something only with \"format\": \"cloudevents\"");
  EXPECT_EQ(problem_of(R"("debezium_fields": "type:header")"),
            "pipeline 'p', key 'debezium_fields': means something only with \"format\": \"debezium\"");
  EXPECT_EQ(problem_of(R"("format": "avro")"),
            "pipeline 'p', key 'format': must be 'raw' or 'cloudevents' or 'debezium'");
  EXPECT_EQ(problem_of(R"("format": "debezium", "debezium_fields": "type")"),
            "pipeline 'p', key 'debezium_fields': must be a list like \"type:header:eventType,aggregateid:envelope\": "
            "field 1 goes neither to header nor envelope");
  EXPECT_EQ(problem_of(R"("message_id": "{oops}")").find("pipeline 'p', key 'message_id': unknown variable {oops}"),
            0U);
}

TEST(SinkConfig, RequiredStringsAreNotEmpty) {
  const auto problems = problems_of(spec(R"({"sink_type": "nats", "url": "${env:EMPTY}", "subject": ""})"));
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].text, "must not be empty");
  EXPECT_EQ(problems[1].text, "must not be empty");
}

TEST(SinkConfig, TextIsUtf8WithoutNul) {
  EXPECT_EQ(problem_of(R"("stream": "a\u0000b")"), "pipeline 'p', key 'stream': holds a NUL character");
  EXPECT_EQ(problem_of(R"("password": "${env:LATIN1}")"), "pipeline 'p', key 'password': is not valid UTF-8");
  EXPECT_EQ(problem_of(R"("extra": ["${env:LATIN1}"])"), "pipeline 'p', key 'extra': is not valid UTF-8");
}

TEST(SinkConfig, NoErrorHoldsWhatCameOutOfAVariableOrASecret) {
  for (const char* more :
       {R"("reply": "${env:BAD_SUBJECT}")", R"("reply": "${env:BRACE}")", R"("start": "${env:SECRET}")",
        R"("password": "${env:SECRET}${hunter2}")", R"("password": "hunter2\u0000")",
        R"("tls": {"mode": "${env:SECRET}"})", R"("passwrd": "hunter2")", R"("pin": "hunter2")"}) {
    const std::string problem = problem_of(more);
    EXPECT_EQ(problem.find("hunter2"), std::string::npos) << problem;
    EXPECT_EQ(problem.find("pipeline 'p', key '"), 0U) << problem;
  }
  EXPECT_EQ(problem_of(R"("reply": "${env:BAD_SUBJECT}")"),
            "pipeline 'p', key 'reply': the template is wrong at column 9 of its expanded text");
}

TEST(SinkConfig, TheCatalogMayNotReadAnyVariable) {
  const auto pipeline =
      spec(R"({"sink_type": "nats", "url": "${env:SECRET}", "subject": "s", "extra": {"x": "${env:SECRET}"}})");
  try {
    validate(pipeline, nats(), EnvPolicy::only({"NATS_*"}, fake));
    FAIL();
  } catch (const ConfigError& error) {
    ASSERT_EQ(error.problems().size(), 2U);
    EXPECT_NE(error.problems()[0].text.find("env_allow"), std::string::npos);
    EXPECT_EQ(std::string(error.what()).find("hunter2"), std::string::npos);
  }
}

TEST(SinkConfig, TheConfigurationIsAnObject) {
  for (const char* json : {"null", "[]", "\"nats\"", "1"}) {
    const auto problems = problems_of(spec(json));
    ASSERT_EQ(problems.size(), 1U) << json;
    EXPECT_NE(problems[0].text.find("must be an object, not "), std::string::npos);
    EXPECT_EQ(problems[0].where, "pipeline 'p'");
  }
}

TEST(SinkConfig, ProblemsOfAFileTellFileAndLine) {
  auto pipeline = spec(R"({"sink_type": "nats", "url": 5, "subject": "{x}"})");
  pipeline.from_file = true;
  pipeline.file = "relay.toml";
  auto& object = std::get<Object>(pipeline.sink.data);
  object[1].second.line = 12;
  object[2].second.line = 13;
  const auto problems = problems_of(pipeline);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_EQ(problems[0].where, "relay.toml:12: pipeline 'p', key 'url'");
  EXPECT_EQ(problems[1].where, "relay.toml:13: pipeline 'p', key 'subject'");
}

TEST(SinkConfig, APipelineOfTheCatalogWritesBelowItsFolderOnly) {
  const tide_option row{"path", TIDE_TYPE_STRING, TIDE_OPTION_WRITES, nullptr, "File", 0, 0, nullptr};
  const auto table = copy_options(&row, 1, sizeof row);
  char folder[] = "/tmp/tide-test-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::filesystem::path root(folder);
  std::filesystem::create_directories(root / "data");
  std::filesystem::create_directory_symlink("/", root / "data" / "link");
  const auto accepts = [&](const std::string& path, std::optional<std::string> below) {
    auto pipeline = spec(R"({"sink_type": "x", "path": ")" + path + "\"}");
    pipeline.write_below = std::move(below);
    try {
      validate(pipeline, table, kEnv);
      return true;
    } catch (const ConfigError& error) {
      EXPECT_NE(error.problems().front().text.find("data_dir"), std::string::npos);
      return false;
    }
  };
  const auto data = (root / "data").string();
  EXPECT_TRUE(accepts(data + "/new/events.jsonl", data));
  EXPECT_TRUE(accepts(data + "/a/../events.jsonl", data + "/"));
  EXPECT_TRUE(accepts("/etc/passwd", std::nullopt));
  for (const auto& path : {data + "/../events", data + "2/events", data + "/link/etc/passwd", std::string("events"),
                           std::string("-"), std::string("/etc/passwd"), std::string()})
    EXPECT_FALSE(accepts(path, data)) << path;
  EXPECT_FALSE(accepts(data + "/events", ""));
  std::filesystem::remove_all(root);
}

TEST(SinkTypeOf, SaysWhyAConfigurationCannotBeRead) {
  PipelineSpec unreadable;
  unreadable.where = "pipeline 'p'";
  unreadable.fault = "not valid JSON: a number is malformed or too large";
  try {
    sink_type_of(unreadable, kEnv);
    FAIL() << "it can be read";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "pipeline 'p': not valid JSON: a number is malformed or too large");
  }
}

TEST(SinkTypeOf, NeedsNoTable) {
  EXPECT_EQ(sink_type_of(spec(R"({"sink_type": "nats", "whatever": 1})"), kEnv), "nats");
  for (const char* json : {"{}", R"({"sink_type": 1})", R"({"sink_type": null})", R"({"sink_type": ""})", "[]"}) {
    EXPECT_THROW(sink_type_of(spec(json), kEnv), ConfigError) << json;
  }
}

}  // namespace
}  // namespace tide
