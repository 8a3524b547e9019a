#include "template/renderer.hpp"

#include <gtest/gtest.h>

namespace tide {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Event event(std::string_view headers = {}, std::string_view payload = "{}") {
  Event e;
  e.id = 1;
  e.outbox = "orders";
  e.stream_table = "orders";
  e.op = "insert";
  e.key = "k";
  e.headers = headers;
  e.payload = payload;
  return e;
}

std::vector<TemplateOption> options(const std::vector<std::optional<std::string>>& texts) {
  std::vector<TemplateOption> result;
  for (const auto& text : texts) {
    result.push_back({"option" + std::to_string(result.size()), std::nullopt});
    if (text) result.back().text.emplace(*text);
  }
  return result;
}

TEST(Renderer, FieldsComeInOptionOrderAndUnsetOnesAreEmpty) {
  Renderer renderer(options({"a.{op}", std::nullopt, "{payload.id}"}));
  RenderedMessage out;
  const auto why = renderer.render(event("", R"({"id": 5})"), out);
  EXPECT_FALSE(why.has_value());
  EXPECT_EQ(out.fields, (std::vector<std::string>{"a.insert", "", "5"}));
  EXPECT_TRUE(out.headers.empty());
}

TEST(Renderer, HeadersKeepTheirTextAndOrder) {
  Renderer renderer({});
  RenderedMessage out;
  const auto why = renderer.render(
      event(
          R"({"b": "text \u00e9 \" \n", "a": 1.50, "t": true, "n": null, "big": 12345678901234567890123, "o": {"x": [1, "a b"], "y": null}, "l": [], "esc\"k": ""})"),
      out);
  EXPECT_FALSE(why.has_value());
  EXPECT_EQ(out.headers, (Headers{{"b", "text é \" \n"},
                                  {"a", "1.50"},
                                  {"t", "true"},
                                  {"big", "12345678901234567890123"},
                                  {"o", R"({"x":[1,"a b"],"y":null})"},
                                  {"l", "[]"},
                                  {"esc\"k", ""}}));
}

TEST(Renderer, NoHeadersIsNoFault) {
  Renderer renderer({});
  RenderedMessage out;
  for (const char* headers : {"", "{}", "null", "{ }"}) {
    EXPECT_FALSE(renderer.render(event(headers), out).has_value()) << headers;
    EXPECT_TRUE(out.headers.empty()) << headers;
  }
}

TEST(Renderer, HeadersThatAreNoObjectRejectTheMessage) {
  Renderer renderer({});
  RenderedMessage out;
  for (const char* headers : {"[1]", "1", "\"x\"", "true", "{\"a\": ", "x"}) {
    EXPECT_EQ(renderer.render(event(headers), out).value_or(""), "the event's headers are not a JSON object")
        << headers;
  }
  EXPECT_FALSE(renderer.render(event("{\"a\": 1}"), out).has_value());
}

TEST(Renderer, AFailureNamesTheOption) {
  Renderer renderer(options({"a", "{payload.zone}"}));
  RenderedMessage out;
  EXPECT_EQ(renderer.render(event(), out).value_or("").find("option1: the event has no value for {payload.zone}"), 0U);
  EXPECT_FALSE(renderer.render(event("", R"({"zone": "eu"})"), out).has_value());
}

TEST(Renderer, AReusedMessageHoldsNothingOfTheLastOne) {
  Renderer renderer(options({"{payload.id|-}", "{header.a|-}"}));
  RenderedMessage out;
  ASSERT_FALSE(renderer.render(event(R"({"a": "1", "b": "2"})", R"({"id": 1})"), out).has_value());
  ASSERT_FALSE(renderer.render(event(R"({"c": "3"})"), out).has_value());
  EXPECT_EQ(out.fields, (std::vector<std::string>{"-", "-"}));
  EXPECT_EQ(out.headers, (Headers{{"c", "3"}}));
}

TEST(Renderer, MessagesOutliveTheNextCall) {
  Renderer renderer(options({"{payload.id}"}));
  RenderedMessage first;
  RenderedMessage second;
  ASSERT_FALSE(renderer.render(event(R"({"a": "1"})", R"({"id": "one"})"), first).has_value());
  ASSERT_FALSE(renderer.render(event(R"({"a": "2"})", R"({"id": "two"})"), second).has_value());
  EXPECT_EQ(first.fields[0], "one");
  EXPECT_EQ(first.headers[0].second, "1");
  EXPECT_EQ(second.fields[0], "two");
}

TEST(Renderer, ABrokenPayloadIsNoConcernOfATemplateThatDoesNotReadIt) {
  Renderer renderer(options({"{op}"}));
  RenderedMessage out;
  EXPECT_FALSE(renderer.render(event("", "not json"), out).has_value());
}

TEST(Renderer, CanBeMoved) {
  Renderer renderer(options({"{payload.id}"}));
  RenderedMessage out;
  ASSERT_FALSE(renderer.render(event("", R"({"id": 1})"), out).has_value());
  Renderer moved(std::move(renderer));
  ASSERT_FALSE(moved.render(event("", R"({"id": 2})"), out).has_value());
  EXPECT_EQ(out.fields[0], "2");
}

TEST(Renderer, TakesManyAndHugeHeaders) {
  std::string headers = "{";
  for (int i = 0; i < 5000; ++i) headers += "\"h" + std::to_string(i) + "\": \"v\", ";
  headers += "\"huge\": \"" + std::string(1U << 20U, 'x') + "\"}";
  Renderer renderer({});
  RenderedMessage out;
  ASSERT_FALSE(renderer.render(event(headers), out).has_value());
  ASSERT_EQ(out.headers.size(), 5001U);
  EXPECT_EQ(out.headers.back().second.size(), 1U << 20U);
}

TEST(Renderer, ASmallEventFollowsAHugeOne) {
  Renderer renderer(options({"{payload.id}"}));
  RenderedMessage out;
  const std::string huge = "{\"text\": \"" + std::string(8U << 20U, 'x') + "\", \"id\": 1}";
  for (const std::string& payload : {huge, std::string("{\"id\": 2}"), huge, std::string("{\"id\": 3}")}) {
    ASSERT_FALSE(renderer.render(event("", payload), out).has_value());
  }
  EXPECT_EQ(out.fields[0], "3");
}

}  // namespace
}  // namespace tide
