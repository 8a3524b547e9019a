#include "template/renderer.hpp"

#include <gtest/gtest.h>

namespace tide {
namespace {

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

Rendering options(const std::vector<std::optional<std::string>>& texts) {
  Rendering result;
  auto& fields = result.message.fields;
  for (const auto& text : texts) {
    fields.push_back({"option" + std::to_string(fields.size()), std::nullopt});
    if (text) fields.back().text.emplace(*text);
  }
  return result;
}

Template text(std::string_view of) {
  return Template(of, Template::Use::text);
}

Condition op_is(const std::string& op) {
  return {*EventField::parse("op"), Condition::Test::any_of, {op}};
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
  Renderer renderer(Rendering{});
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
  Renderer renderer(Rendering{});
  RenderedMessage out;
  for (const char* headers : {"", "{}", "null", "{ }"}) {
    EXPECT_FALSE(renderer.render(event(headers), out).has_value()) << headers;
    EXPECT_TRUE(out.headers.empty()) << headers;
  }
}

TEST(Renderer, HeadersThatAreNoObjectRejectTheMessage) {
  Renderer renderer(Rendering{});
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
  Renderer renderer(Rendering{});
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

TEST(Renderer, TheFirstRouteThatMatchesTakesTheEvent) {
  auto rendering = options({"own", "b"});
  const auto add = [&](const std::string& op, const std::string& subject) {
    auto message = rendering.message;
    message.fields[0].text.emplace(subject);
    rendering.routes.push_back({{op_is(op)}, false, std::move(message)});
  };
  add("insert", "first");
  add("insert", "second");
  add("update", "third");
  Renderer renderer(std::move(rendering));
  RenderedMessage out;
  for (const auto& [op, subject] : {std::pair("insert", "first"), {"update", "third"}, {"delete", "own"}}) {
    Event e = event();
    e.op = op;
    ASSERT_FALSE(renderer.render(e, out).has_value());
    EXPECT_EQ(out.fields, (std::vector<std::string>{subject, "b"}));
    EXPECT_FALSE(out.dropped);
  }
}

TEST(Renderer, ARouteNeedsAllItsConditions) {
  auto rendering = options({"own"});
  rendering.routes.push_back({{op_is("insert"), op_is("update")}, true, {}});
  Renderer renderer(std::move(rendering));
  RenderedMessage out;
  ASSERT_FALSE(renderer.render(event(), out).has_value());
  EXPECT_FALSE(out.dropped);
}

TEST(Renderer, ADroppedEventIsNotRendered) {
  auto rendering = options({"{payload.missing}"});
  rendering.routes.push_back({{op_is("insert")}, true, {}});
  Renderer renderer(std::move(rendering));
  RenderedMessage out;
  ASSERT_FALSE(renderer.render(event("[1]"), out).has_value());
  EXPECT_TRUE(out.dropped);
  Event e = event();
  e.op = "update";
  EXPECT_TRUE(renderer.render(e, out).has_value());
  EXPECT_FALSE(out.dropped);
}

TEST(Renderer, TheMessageIdIsTheEventsKeyUnlessATemplateSaysOtherwise) {
  auto rendering = options({"a"});
  RenderedMessage out;
  ASSERT_FALSE(Renderer(rendering).render(event(), out).has_value());
  EXPECT_EQ(out.key, "");
  rendering.message.message_id = text("{dedup_key}/a b");
  ASSERT_FALSE(Renderer(rendering).render(event(), out).has_value());
  EXPECT_EQ(out.key, "k/a b");
  ASSERT_FALSE(Renderer(options({"a"})).render(event(), out).has_value());
  EXPECT_EQ(out.key, "") << "a reused message keeps no id";
}

TEST(Renderer, AMessageIdThatNoSinkTakesRejectsTheEvent) {
  auto rendering = options({"a"});
  rendering.message.message_id = text("{payload.id|}");
  Renderer renderer(rendering);
  RenderedMessage out;
  EXPECT_EQ(renderer.render(event(), out).value_or(""), "message_id: the event's is empty");
  EXPECT_EQ(renderer.render(event("", "{\"id\": \"a\\n\"}"), out).value_or(""),
            "message_id: the event's has a control character");
  const std::string long_id = "{\"id\": \"" + std::string(1025, 'x') + "\"}";
  EXPECT_EQ(renderer.render(event("", long_id), out).value_or(""),
            "message_id: the event's has 1025 bytes, and may have 1024");
  EXPECT_EQ(renderer.render(event("", "{\"id\": {}}"), out).value_or("").find("message_id: "), 0U);
}

}  // namespace
}  // namespace tide
