#include "template/template.hpp"

#include <gtest/gtest.h>

namespace tide {
namespace {

Event event() {
  Event e;
  e.id = 42;
  e.outbox = "orders";
  e.stream_table = "line_items";
  e.op = "insert";
  e.key = "ord-1";
  e.headers = R"({"trace.id": "t-1", "n": 7, "none": null, "empty": "", "deep": {"a": 1}})";
  e.payload =
      R"({"a": {"b": "deep", "n": 1.50, "list": [1]}, "ok": true, "big": 123456789012345678901234567890, "region": "eu", "none": null, "empty": "", "tricky": "a.*.> b\tc\u0001\u007f", "emoji": "é😀", "quo\"te": "q", "caf\u00e9": 1})";
  return e;
}

struct Rendered {
  std::string text;
  std::string error;
};

Rendered render(std::string_view text, const Event& e = event(), Template::Use use = Template::Use::subject) {
  EventJson json;
  json.headers.reset(e.headers);
  json.payload.reset(e.payload);
  Rendered result;
  result.error = Template(text, use, "p.1").render(e, json, result.text).value_or("");
  return result;
}

std::string error_of(std::string_view text) {
  try {
    Template compiled(text);
  } catch (const TemplateError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Template, RendersEachVariable) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"plain", "plain"},
      {"events.{stream_table}.{op}", "events.line_items.insert"},
      {"{outbox}", "orders"},
      {"{outbox_id}", "42"},
      {"{pipeline}", "p.1"},
      {"{pipeline|x}", "p.1"},
      {"{dedup_key}", "ord-1"},
      {"{header.trace.id}-{header.n}", "t-1-7"},
      {"{payload.a.b}", "deep"},
      {"{payload.a.n}", "1_50"},
      {"{payload.ok}", "true"},
      {"{payload.big}", "123456789012345678901234567890"},
      {"{payload.region}.{payload.a.b}.{payload.region}", "eu.deep.eu"},
      {"{payload.emoji}", "é😀"},
      {"{payload.quo\"te}", "q"},
      {"é.{op}", "é.insert"},
  };
  for (const auto& [text, expected] : cases) {
    const auto result = render(text);
    EXPECT_EQ(result.text, expected) << text;
    EXPECT_EQ(result.error, "") << text;
  }
}

TEST(Template, DoubleBracesAreLiteral) {
  EXPECT_EQ(render("{{op}}").text, "{op}");
  EXPECT_EQ(render("{{{op}}}").text, "{insert}");
  EXPECT_EQ(render("{{}}").text, "{}");
  EXPECT_EQ(render("{{{{").text, "{{");
}

TEST(Template, ADefaultStandsForMissingNullAndEmptyValues) {
  for (const char* text :
       {"{payload.zone|unknown}", "{payload.none|unknown}", "{payload.empty|unknown}", "{header.zone|unknown}",
        "{header.none|unknown}", "{payload.region.zone|unknown}", "{payload.a.list.zone|unknown}"}) {
    EXPECT_EQ(render(text).text, "unknown") << text;
    EXPECT_EQ(render(text).error, "") << text;
  }
  EXPECT_EQ(render("{payload.region|unknown}").text, "eu");
  EXPECT_EQ(render("{payload.zone|a|b}").text, "a|b");
  EXPECT_EQ(render("x{payload.zone|}").text, "x");
  EXPECT_EQ(render("{payload.zone|a *>b}").text, "a___b");
}

TEST(Template, AMissingValueWithoutADefaultRejectsTheMessageAndNamesTheVariable) {
  for (const char* name : {"payload.zone", "payload.none", "payload.empty", "header.zone", "header.none",
                           "header.empty", "payload.a.zone", "payload.region.zone", "payload.a.list.x"}) {
    const auto result = render(std::string("events.{") + name + "}");
    EXPECT_NE(result.error.find(std::string("{") + name + "}"), std::string::npos) << result.error;
    EXPECT_NE(result.error.find("default"), std::string::npos) << result.error;
  }
  Event e = event();
  e.op = "";
  EXPECT_NE(render("{op}", e).error.find("{op}"), std::string::npos);
}

TEST(Template, AnObjectOrArrayRejectsTheMessageEvenWithADefault) {
  for (const char* text : {"{payload.a}", "{payload.a.list|x}", "{header.deep|x}"}) {
    EXPECT_NE(render(text).error.find("object or an array"), std::string::npos) << text;
  }
}

TEST(Template, ValuesCannotSmuggleInWildcardsOrWhiteSpace) {
  EXPECT_EQ(render("{payload.tricky}").text, "a_____b_c__");
  Event e = event();
  e.op = "in*s>e r\nt";
  const std::string table("t\0\x1a\r\v", 5);
  e.stream_table = table;
  e.key = "*";
  EXPECT_EQ(render("{op}.{stream_table}.{dedup_key}", e).text, "in_s_e_r_t.t____._");
}

TEST(Template, ValuesCannotAddTokens) {
  Event e = event();
  e.op = "a.b";
  e.key = "..";
  e.payload = R"({"v": ".a..b.", "n": 1.5})";
  e.headers = R"({"h": "x.y"})";
  EXPECT_EQ(render("e.{op}.{dedup_key}.{payload.v}.{payload.n}.{header.h}", e).text, "e.a_b.__._a__b_.1_5.x_y");
  EXPECT_EQ(render("e.{payload.none|x.y}", e).text, "e.x.y") << "a default is the template's own text";
}

TEST(Template, NamesKeepTheirDotsAndMakeNoEmptyToken) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"shop.orders", "e.shop.orders"},
                                                                  {".orders", "e._orders"},
                                                                  {"orders.", "e.orders_"},
                                                                  {"a..b", "e.a._b"},
                                                                  {".", "e._"},
                                                                  {"...", "e._._"},
                                                                  {"a.*.b", "e.a._.b"}};
  for (const auto& [name, expected] : cases) {
    Event e = event();
    e.stream_table = name;
    e.outbox = name;
    EXPECT_EQ(render("e.{stream_table}", e).text, expected);
    EXPECT_EQ(render("e.{outbox}", e).text, expected);
  }
}

TEST(Template, AValueHasSeveralTokensWhereTheTemplateSaysSo) {
  Event e = event();
  e.payload = R"({"topic": "shop.orders", "odd": ".a..*.> b."})";
  EXPECT_EQ(render("e.{payload.topic>}", e).text, "e.shop.orders");
  EXPECT_EQ(render("e.{payload.odd>}", e).text, "e._a.__.__b_");
  EXPECT_EQ(render("e.{payload.zone>|a.b}", e).text, "e.a.b");
  EXPECT_NE(render("e.{payload.zone>}", e).error.find("{payload.zone}"), std::string::npos);
}

TEST(Template, TextKeepsValuesAsTheyAre) {
  Event e = event();
  e.key = "a b.*";
  EXPECT_EQ(render("{dedup_key}/{payload.a.n}/{payload.zone|a *}", e, Template::Use::text).text, "a b.*/1.50/a *");
}

TEST(Template, LiteralTextStaysAsWritten) {
  EXPECT_EQ(render("a * > b").text, "a * > b");
}

TEST(Template, WhatIsNotAskedForIsNotParsed) {
  Event e = event();
  e.payload = "{no JSON";
  e.headers = "{";
  EXPECT_EQ(render("{outbox}.{op}", e).text, "orders.insert");
  EXPECT_NE(render("{payload.a}", e).error.find("can't be read for {payload.a}"), std::string::npos);
  EXPECT_NE(render("{header.a|x}", e).error.find("can't be read"), std::string::npos);
}

TEST(Template, MalformedJsonCanBeAskedAgain) {
  Event e = event();
  e.headers = R"({"h": "v,""n": 7})";
  EventJson json;
  json.headers.reset(e.headers);
  std::string out;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Template("{header.n}").render(e, json, out)) << i;
}

TEST(Template, APayloadThatIsNoObjectHasNoFields) {
  for (const char* payload : {"1", "\"text\"", "[1, 2]", "null", "true", ""}) {
    Event e = event();
    e.payload = payload;
    EXPECT_EQ(render("{payload.a|none}", e).text, "none") << payload;
  }
}

TEST(Template, ReadsDeepAndHugePayloads) {
  std::string deep = "1";
  std::string path = "payload";
  for (int i = 0; i < 500; ++i) {
    deep = "{\"k\": " + deep + "}";
    path += ".k";
  }
  Event e = event();
  e.payload = deep;
  EXPECT_EQ(render("{" + path + "}", e).text, "1");

  const std::string bomb = "{\"x\": " + std::string(5000, '[') + std::string(5000, ']') + ", \"id\": \"after\"}";
  e.payload = bomb;
  EXPECT_EQ(render("{payload.id}", e).text, "after");

  std::string huge = "{\"text\": \"" + std::string(8U << 20U, 'x') + "\", \"id\": 5}";
  e.payload = huge;
  EXPECT_EQ(render("{payload.id}", e).text, "5");
  EXPECT_EQ(render("{payload.text}", e).text.size(), 8U << 20U);
}

TEST(Template, OneReaderServesManyEvents) {
  const Template compiled("{payload.id}.{header.h|none}");
  EventJson json;
  std::string out;
  for (int i = 0; i < 1000; ++i) {
    Event e = event();
    const std::string payload = i % 10 == 9 ? "broken" : "{\"id\": " + std::to_string(i) + "}";
    const std::string headers = i % 2 == 0 ? "" : "{\"h\": \"" + std::string(static_cast<std::size_t>(i), 'y') + "\"}";
    e.payload = payload;
    e.headers = headers;
    json.payload.reset(e.payload);
    json.headers.reset(e.headers);
    const auto why = compiled.render(e, json, out);
    ASSERT_EQ(why.has_value(), i % 10 == 9) << i;
    if (!why) {
      ASSERT_EQ(out, std::to_string(i) + "." + (i % 2 == 0 ? "none" : std::string(static_cast<std::size_t>(i), 'y')));
    }
  }
}

TEST(Template, UnknownVariablesAreRefusedWithTheKnownOnes) {
  const std::string error = error_of("events.{strem_table}");
  EXPECT_NE(error.find("{strem_table} at column 8"), std::string::npos) << error;
  EXPECT_NE(error.find(
                "{stream_table}, {op}, {outbox_id}, {outbox}, {dedup_key}, {header.NAME}, {payload.FIELD}, {pipeline}"),
            std::string::npos);
  for (const char* text : {"{}", "{ op }", "{OP}", "{payload}", "{payload.}", "{payload..a}", "{payload.a.}",
                           "{header}", "{header.}", "{|x}", "{op\n}"}) {
    EXPECT_NE(error_of(text).find("unknown variable"), std::string::npos) << text;
    EXPECT_EQ(error_of(text).find('\n'), std::string::npos) << text;
  }
}

TEST(Template, UnbalancedBracesAreRefusedWithTheirColumn) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a{op", "'{' at column 2 is never closed"}, {"a}", "'}' at column 2 closes nothing"},
      {"é{", "'{' at column 2 is never closed"},   {"{op{op}}", "'{' at column 1 is never closed"},
      {"{op}}", "'}' at column 5 closes nothing"}, {"{{op}", "'}' at column 5 closes nothing"},
      {"}{", "'}' at column 1 closes nothing"},    {"{{{", "'{' at column 3 is never closed"}};
  for (const auto& [text, expected] : cases)
    EXPECT_NE(error_of(text).find(expected), std::string::npos) << text << ": " << error_of(text);
}

TEST(Template, EmptyTextAndControlCharactersAreRefused) {
  EXPECT_EQ(error_of(""), "the template is empty");
  for (const char* text : {"a\x1a", "a\x1c", "a\t", "a\x7f"}) {
    EXPECT_NE(error_of(text).find("at column 2"), std::string::npos);
  }
}

TEST(Template, ItsShapeShowsWhatIsKnownBeforeAnyEvent) {
  EXPECT_EQ(Template("events.{outbox}.{op}").shape("orders"), "events.orders.\x1a");
  EXPECT_EQ(Template("{payload.a|b}{{x}}{stream_table}").shape("orders"), "\x1a{x}\x1a");
  EXPECT_EQ(Template("{payload.a|b.c}").shape("orders"), "\x1c");
  EXPECT_EQ(Template("{outbox}").shape("or de>rs"), "or_de_rs");
  EXPECT_EQ(Template("plain").shape("orders"), "plain");
  EXPECT_EQ(Template("e.{pipeline}.{header.a>}", Template::Use::subject, "p q").shape("orders"), "e.p_q.\x1c");
}

}  // namespace
}  // namespace tide
