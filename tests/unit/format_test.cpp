#include "template/format.hpp"

#include <gtest/gtest.h>

#include "config/debezium_fields.hpp"
#include "template/renderer.hpp"

namespace tide {
namespace {

// The payload as PostgreSQL prints it: blanks, escapes and digits must come through byte for byte.
constexpr std::string_view kPayload = R"({"id": 1, "text": "é \" \u0001", "price": 1.50})";

Event event(std::string_view headers = {}) {
  Event e;
  e.id = 7;
  e.created_at_us = 1'767'323'045'000'006;  // 2026-01-02 03:04:05.000006 UTC
  e.outbox = "orders";
  e.stream_table = "line_items";
  e.op = "insert";
  e.key = "k 1";
  e.headers = headers;
  e.payload = kPayload;
  return e;
}

RenderedMessage rendered(const Format& format, const Event& e, const std::string& type = "{stream_table}.{op}") {
  Rendering rendering;
  rendering.format = format;
  rendering.message.cloudevents_type = Template(type, Template::Use::text);
  rendering.message.cloudevents_source = Template("/tide/{outbox}", Template::Use::text);
  RenderedMessage out;
  Renderer renderer(rendering);
  const auto why = renderer.render(e, out);
  EXPECT_EQ(why.value_or(""), "");
  return out;
}

RenderedMessage binary(std::string_view headers = {}) {
  return rendered({Format::Kind::cloudevents_binary, {}}, event(headers));
}
RenderedMessage structured(std::string_view headers = {}) {
  return rendered({Format::Kind::cloudevents_structured, {}}, event(headers));
}
RenderedMessage debezium(const std::string& fields, std::string_view headers = {}) {
  std::string fault;
  Format format{Format::Kind::debezium, {}};
  if (!fields.empty()) format.debezium_fields = parse_debezium_fields(fields, fault);
  EXPECT_EQ(fault, "");
  return rendered(format, event(headers));
}

const Headers kBinary = {{"ce-specversion", "1.0"},
                         {"ce-id", "k%201"},
                         {"ce-source", "/tide/orders"},
                         {"ce-type", "line_items.insert"},
                         {"ce-time", "2026-01-02T03:04:05.000006Z"},
                         {"ce-datacontenttype", "application/json"}};

Headers with(Headers first, const Headers& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

TEST(CloudEvents, BinaryModePutsAttributesIntoHeadersAndLeavesThePayload) {
  const auto out = binary();
  EXPECT_EQ(out.headers, kBinary);
  EXPECT_EQ(out.payload, "") << "the event's own";
}

TEST(CloudEvents, HeaderValuesArePercentEncoded) {
  const auto out = binary(R"({"ce-subject": "Euro € 😀 \"100%\""})");
  ASSERT_EQ(out.headers.size(), 7U);
  EXPECT_EQ(out.headers[0].second, "Euro%20%E2%82%AC%20%F0%9F%98%80%20%22100%25%22");
}

TEST(CloudEvents, StructuredModeWrapsThePayloadByteForByte) {
  const auto out = structured();
  EXPECT_EQ(out.headers, (Headers{{"Content-Type", "application/cloudevents+json"}}));
  EXPECT_EQ(out.payload, R"({"specversion":"1.0","id":"k 1","source":"/tide/orders","type":"line_items.insert",)"
                         R"("time":"2026-01-02T03:04:05.000006Z","datacontenttype":"application/json","data":)" +
                             std::string(kPayload) + "}");
}

TEST(CloudEvents, AnEventsHeadersGoAlongAndItsAttributesBecomeTheEvents) {
  constexpr std::string_view headers = R"({"trace": "a b", "ce-subject": "s\"1", "ce-tenant": 5, "ce-Odd": "x"})";
  EXPECT_EQ(binary(headers).headers,
            with({{"trace", "a b"}, {"ce-subject", "s%221"}, {"ce-tenant", "5"}, {"ce-Odd", "x"}}, kBinary));
  const auto out = structured(headers);
  EXPECT_EQ(out.headers,
            (Headers{{"trace", "a b"}, {"ce-Odd", "x"}, {"Content-Type", "application/cloudevents+json"}}));
  EXPECT_NE(out.payload.find(R"(,"subject":"s\"1","tenant":"5","data":)"), std::string::npos) << out.payload;
}

TEST(CloudEvents, AnEventsHeadersDoNotOverrideTheRelays) {
  constexpr std::string_view headers =
      R"({"ce-id": "x", "CE-Type": "x", "ce-source": "x", "ce-specversion": "x", "ce-time": "x",
      "ce-datacontenttype": "x", "content-type": "application/cloudevents"})";
  EXPECT_EQ(binary(headers).headers, kBinary);
  EXPECT_EQ(structured(headers).headers.size(), 1U);
  EXPECT_EQ(structured(headers).payload, structured().payload);
}

TEST(CloudEvents, AnEmptyOrUnprintableAttributeRejectsTheEvent) {
  for (const auto& [type, why] : {std::pair("{payload.zone|}", "cloudevents_type: the event's is empty"),
                                  {"{payload.text}", "cloudevents_type: the event's has a control character"}}) {
    Rendering rendering;
    rendering.format.kind = Format::Kind::cloudevents_binary;
    rendering.message.cloudevents_type = Template(type, Template::Use::text);
    rendering.message.cloudevents_source = Template("/s", Template::Use::text);
    RenderedMessage out;
    EXPECT_EQ(Renderer(rendering).render(event(), out).value_or(""), why);
  }
}

TEST(CloudEvents, TimesBefore1970AreRightToo) {
  Event e = event();
  e.created_at_us = -1;
  const auto out = rendered({Format::Kind::cloudevents_binary, {}}, e);
  EXPECT_EQ(out.headers[4].second, "1969-12-31T23:59:59.999999Z");
}

TEST(CloudEvents, TheIdIsTheMessageId) {
  Rendering rendering;
  rendering.format.kind = Format::Kind::cloudevents_structured;
  rendering.message.message_id = Template("{dedup_key}/audit", Template::Use::text);
  rendering.message.cloudevents_type = Template("t", Template::Use::text);
  rendering.message.cloudevents_source = Template("/s", Template::Use::text);
  RenderedMessage out;
  ASSERT_FALSE(Renderer(rendering).render(event(), out).has_value());
  EXPECT_NE(out.payload.find(R"("id":"k 1/audit")"), std::string::npos) << out.payload;
}

TEST(Debezium, AloneThePayloadIsTheBodyAndTheIdAHeader) {
  const auto out = debezium("");
  EXPECT_EQ(out.headers, (Headers{{"id", R"("k 1")"}}));
  EXPECT_EQ(out.payload, "");
}

TEST(Debezium, ColumnsGoToHeadersAsJson) {
  const auto out = debezium("type:header:eventType,aggregateid:header,version:header,id:header:eventId",
                            R"({"aggregateid": "ord-1", "version": 3, "id": "mine", "trace": "t"})");
  EXPECT_EQ(out.headers, (Headers{{"trace", "t"},
                                  {"id", R"("k 1")"},
                                  {"eventType", R"("insert")"},
                                  {"aggregateid", R"("ord-1")"},
                                  {"version", "3"},
                                  {"eventId", R"("k 1")"}}));
  EXPECT_EQ(out.payload, "");
}

TEST(Debezium, ColumnsInTheEnvelopeStandBesideThePayload) {
  const auto out =
      debezium("type:envelope:eventType,aggregatetype:envelope,aggregateid:envelope,created_at:envelope:at",
               R"({"type": "OrderCreated", "x": {"a": [1]}})");
  EXPECT_EQ(out.payload, R"({"payload":)" + std::string(kPayload) +
                             R"(,"eventType":"OrderCreated","aggregatetype":"line_items","aggregateid":null,)"
                             R"("at":"2026-01-02T03:04:05.000006Z"})");
  EXPECT_EQ(debezium("x:envelope", R"({"x": {"a": [1, "b"]}})").payload,
            R"({"payload":)" + std::string(kPayload) + R"(,"x":{"a":[1,"b"]}})");
}

TEST(Debezium, AColumnThatTheEventLacksIsNoHeader) {
  EXPECT_EQ(debezium("aggregateid:header").headers.size(), 1U);
}

TEST(DebeziumFields, AreReadAsDebeziumWritesThem) {
  std::string fault;
  const auto fields = parse_debezium_fields("type:header:eventType, tenant : envelope", fault);
  EXPECT_EQ(fault, "");
  ASSERT_EQ(fields.size(), 2U);
  EXPECT_EQ(fields[0].column, "type");
  EXPECT_FALSE(fields[0].in_envelope);
  EXPECT_EQ(fields[0].alias, "eventType");
  EXPECT_EQ(fields[1].column, "tenant");
  EXPECT_TRUE(fields[1].in_envelope);
  EXPECT_EQ(fields[1].alias, "tenant");
}

TEST(DebeziumFields, AFaultNamesTheField) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "field 1 is none"},
      {"a:header,,b:header", "field 2 is none"},
      {"a:header:b:c", "field 1 is none"},
      {":header", "field 1 is none"},
      {"a", "field 1 goes neither to header nor envelope"},
      {"a:body", "field 1 goes neither to header nor envelope"},
      {"a:header,b:partition", "field 2 is placed in the partition, and there are no partitions"},
      {"a:header:id", "field 1 has the name of what is always there"},
      {"a:envelope:payload", "field 1 has the name of what is always there"},
      {"a:header:x,b:header:x", "field 2 has the name of one before it"},
  };
  for (const auto& [text, expected] : cases) {
    std::string fault;
    EXPECT_TRUE(parse_debezium_fields(text, fault).empty()) << text;
    EXPECT_TRUE(fault.ends_with(expected)) << text << ": " << fault;
  }
}

}  // namespace
}  // namespace tide
