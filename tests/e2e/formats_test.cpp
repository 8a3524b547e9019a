// What a message looks like in the stream, in each format.
#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

class Formats : public Servers {
 protected:
  // The one message of an event that was published with these headers.
  Message message_of(const std::string& options, const std::string& headers = R"({"trace": "t 1"})") {
    set_up_pipeline(options);
    sql(R"(SELECT tide.outbox_publish('orders', '{"id": 1, "text": "é \" \n", "price": 1.50}', 'ord 1', 'insert', ')" +
        headers + "')");
    const auto done = relay("run", {"--once"});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    const auto stored = js().messages(stream_);
    EXPECT_EQ(stored.size(), 1u);
    return stored.empty() ? Message() : stored[0];
  }
  [[nodiscard]] std::string payload() const { return sql("SELECT payload FROM tide.outbox_messages"); }
  [[nodiscard]] std::string time() const {
    return sql(
        R"(SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM tide.outbox_messages)");
  }
};

using Expected = std::multimap<std::string, std::string>;

TEST_F(Formats, RawIsThePayloadAlone) {
  const auto m = message_of(R"(, "format": "raw")");
  EXPECT_EQ(m.payload, payload());
  EXPECT_EQ(m.headers, (Expected{{"Nats-Msg-Id", "ord 1"}, {"trace", "t 1"}}));
}

TEST_F(Formats, CloudEventsInBinaryMode) {
  const auto m = message_of(R"(, "format": "cloudevents")", R"({"trace": "t 1", "ce-subject": "Zürich"})");
  EXPECT_EQ(m.payload, payload());
  EXPECT_EQ(m.headers, (Expected{{"Nats-Msg-Id", "ord 1"},
                                 {"trace", "t 1"},
                                 {"ce-subject", "Z%C3%BCrich"},
                                 {"ce-specversion", "1.0"},
                                 {"ce-id", "ord%201"},
                                 {"ce-source", "/tide/orders"},
                                 {"ce-type", "orders.insert"},
                                 {"ce-time", time()},
                                 {"ce-datacontenttype", "application/json"}}));
}

TEST_F(Formats, CloudEventsInStructuredMode) {
  const auto m = message_of(
      R"(, "format": "cloudevents", "cloudevents_mode": "structured", "cloudevents_type": "com.example.{op}",
      "cloudevents_source": "/shop/{outbox}", "message_id": "{dedup_key}/ce")",
      R"({"trace": "t 1", "ce-subject": "Zürich"})");
  EXPECT_EQ(
      m.headers,
      (Expected{{"Nats-Msg-Id", "ord 1/ce"}, {"trace", "t 1"}, {"Content-Type", "application/cloudevents+json"}}));
  EXPECT_EQ(m.payload,
            R"({"specversion":"1.0","id":"ord 1/ce","source":"/shop/orders","type":"com.example.insert","time":")" +
                time() + R"(","datacontenttype":"application/json","subject":"Zürich","data":)" + payload() + "}");
  EXPECT_EQ(sql("SELECT '" + m.payload + "'::jsonb -> 'data' = payload FROM tide.outbox_messages"), "t");
}

TEST_F(Formats, DebeziumWithColumnsInHeaders) {
  const auto m = message_of(R"(, "format": "debezium", "debezium_fields": "type:header:eventType,aggregateid:header")",
                            R"({"aggregateid": "ord-1"})");
  EXPECT_EQ(m.payload, payload());
  EXPECT_EQ(m.headers, (Expected{{"Nats-Msg-Id", "ord 1"},
                                 {"id", R"("ord 1")"},
                                 {"eventType", R"("insert")"},
                                 {"aggregateid", R"("ord-1")"}}));
}

TEST_F(Formats, DebeziumWithColumnsInTheEnvelope) {
  const auto m =
      message_of(R"(, "format": "debezium", "debezium_fields": "type:envelope:eventType,aggregatetype:envelope")");
  EXPECT_EQ(m.payload, R"({"payload":)" + payload() + R"(,"eventType":"insert","aggregatetype":"orders"})");
  EXPECT_EQ(m.header("id"), R"("ord 1")");
}

TEST_F(Formats, ADeadLetterSentAgainHasTheSameIdAndTime) {
  set_up_pipeline(R"(, "format": "cloudevents", "message_id": "{dedup_key}/{payload.v}")");
  sql(R"(SELECT tide.outbox_publish('orders', '{}', 'k'))");
  ASSERT_EQ(relay("run", {"--once"}).exit_code, 0);
  EXPECT_EQ(
      sql("SELECT dedup_key, error LIKE 'message_id: the event has no value for {payload.v}%' FROM tide.dead_letters"),
      "k|t")
      << "a dead letter has the event's own key";
  set_pipeline(R"(, "format": "cloudevents", "message_id": "{dedup_key}/{payload.v|1}")");
  sql("SELECT tide.dead_letters_retry('p')");
  ASSERT_EQ(relay("run", {"--once"}).exit_code, 0);
  const auto stored = js().messages(stream_);
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].header("Nats-Msg-Id"), "k/1");
  EXPECT_EQ(stored[0].header("ce-id"), "k/1");
  EXPECT_EQ(stored[0].header("ce-time"), time());
}

TEST_F(Formats, AKeyIsSentAsItIs) {
  set_up_pipeline(R"(, "message_id": "{dedup_key}/x")");
  sql(R"(SELECT tide.outbox_publish('orders', '{}', 'a b'); SELECT tide.outbox_publish('orders', '{}', 'a_b'))");
  ASSERT_EQ(relay("run", {"--once"}).exit_code, 0);
  EXPECT_EQ(keys(), (std::vector<std::string>{"a b/x", "a_b/x"})) << "two keys stay two";
}

}  // namespace
}  // namespace tide::test
