#include "base/value.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.hpp"

namespace tide {
namespace {

std::string error_of(std::string_view json) {
  try {
    parse_json(json);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ParseJson, KeepsTypesAndTheOrderWritten) {
  const Value value = parse_json(R"({"b": 1, "a": [true, null, 1.5, "x"], "c": {"d": -9223372036854775808}})");
  const auto* object = value.get<Object>();
  ASSERT_NE(object, nullptr);
  ASSERT_EQ(object->size(), 3U);
  EXPECT_EQ((*object)[0].first, "b");
  EXPECT_EQ((*object)[1].first, "a");
  EXPECT_EQ(*value.find("b")->get<std::int64_t>(), 1);
  const auto& array = *value.find("a")->get<Array>();
  EXPECT_TRUE(*array[0].get<bool>());
  EXPECT_NE(array[1].get<std::nullptr_t>(), nullptr);
  EXPECT_EQ(*array[2].get<double>(), 1.5);
  EXPECT_EQ(*array[3].get<std::string>(), "x");
  EXPECT_EQ(*value.find("c")->find("d")->get<std::int64_t>(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value.line, 0);
}

TEST(ParseJson, RefusesAKeyThatIsThereTwiceAndNamesIt) {
  EXPECT_EQ(error_of(R"({"url": "a", "url": "b"})"), "key 'url': is there twice");
  EXPECT_EQ(error_of(R"({"a": {"b": 1, "\u0062": 2}})"), "key 'a.b': is there twice");
  EXPECT_EQ(error_of(R"([{"a": 1}, {"a": 1}])"), "no error");
}

TEST(ParseJson, RefusesDepthBombs) {
  EXPECT_EQ(error_of(nested(64)), "no error");
  for (const std::size_t depth : {66U, 1000U, 1025U, 1000000U}) {
    EXPECT_EQ(error_of(nested(depth)), "the JSON is nested more than 64 levels deep") << depth;
  }
}

TEST(ParseJson, RefusesIntegersOutside64Bits) {
  EXPECT_EQ(error_of("9223372036854775807"), "no error");
  EXPECT_NE(error_of(R"({"n": 9223372036854775808})").find("key 'n': the integer is outside"), std::string::npos);
  for (const char* json : {"18446744073709551616", "-9223372036854775809", "123456789012345678901234567890"}) {
    EXPECT_NE(error_of(json), "no error") << json;
  }
}

TEST(ParseJson, RefusesWhatIsNotJson) {
  for (const std::string_view json :
       {std::string_view(), std::string_view(" "), std::string_view("{"), std::string_view("{'a': 1}"),
        std::string_view("{\"a\": 1} x"), std::string_view("{\"a\": 01}"), std::string_view("\"\\ud800\""),
        std::string_view("\"\xff\""), std::string_view("nan"), std::string_view("{\"a\":1,}"),
        std::string_view("\0", 1)}) {
    EXPECT_NE(error_of(json).find("not valid JSON"), std::string::npos) << json;
  }
}

TEST(ParseJson, ErrorsStayOnOneLineWhateverTheKeyHolds) {
  const std::string error = error_of(R"({"a\nb": 1, "a\nb": 2})");
  EXPECT_EQ(error, "key 'a?b': is there twice");
}

TEST(ParseJson, ManyKeysAreChecked) {
  std::string json = "{";
  for (int i = 0; i < 20000; ++i) json += "\"k" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  EXPECT_EQ(error_of(json + "\"last\":0}"), "no error");
  EXPECT_EQ(error_of(json + "\"k7\":0}"), "key 'k7': is there twice");
}

TEST(ToJson, IsReadBackAsItWas) {
  for (const char* json : {"null", "true", "-1", "1.5", "1.0", "1e+300", "\"\"", "[]", "{}",
                           R"({"a":[1,{"b":"\"\\\n\t\u0001é😀"}],"c":null})", "\"\\u0000\"", "0.1", "-0.0"}) {
    EXPECT_EQ(to_json(parse_json(json)), json);
  }
}

TEST(ToJson, HasNoWordForInfinity) {
  EXPECT_EQ(to_json(Value{std::numeric_limits<double>::infinity()}), "null");
  EXPECT_EQ(to_json(Value{std::nan("")}), "null");
}

TEST(AppendJsonString, EscapesAsPostgresDoes) {
  std::string out;
  append_json_string(out, std::string_view("\b\f\n\r\t\"\\/\x1f\x7fé\0", 13));
  EXPECT_EQ(out, "\"\\b\\f\\n\\r\\t\\\"\\\\/\\u001f\x7fé\\u0000\"");
}

TEST(Value, FindsOnlyInObjects) {
  EXPECT_EQ(Value{}.find("a"), nullptr);
  EXPECT_EQ(parse_json("[1]").find("0"), nullptr);
  EXPECT_EQ(parse_json(R"({"a":1})").find("b"), nullptr);
}

TEST(Value, NamesItsType) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"null", "null"},     {"true", "a boolean"}, {"1", "an integer"}, {"1.0", "a number"},
      {"\"\"", "a string"}, {"[]", "an array"},    {"{}", "an object"}};
  for (const auto& [json, name] : cases) EXPECT_STREQ(parse_json(json).type_name(), name);
}

TEST(Printable, KeepsOneShortLineOfUtf8) {
  EXPECT_EQ(printable("a\nb\x1b[31m\x7f"), "a?b?[31m?");
  EXPECT_EQ(printable("é"), "é");
  EXPECT_EQ(printable(std::string(120, 'x')), std::string(120, 'x'));
  EXPECT_EQ(printable(std::string(121, 'x')), std::string(120, 'x') + "…");
  EXPECT_EQ(printable(std::string(119, 'x') + "éé"), std::string(119, 'x') + "…");
  EXPECT_EQ(printable("éé", 3), "é…");
  EXPECT_EQ(printable("a\xc3"), "a?");
  EXPECT_EQ(printable("\xff\xe2\x82z\xf0\x9f\x98\x80"), "???z😀");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
}

}  // namespace
}  // namespace tide
