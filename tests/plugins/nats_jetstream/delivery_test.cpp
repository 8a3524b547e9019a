// What arrives in the stream, and in which order.
#include <gtest/gtest.h>

#include <algorithm>

#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Delivery : public ::testing::Test {
 protected:
  Delivery() { jetstream.create_stream("EVENTS", {"events.>"}); }

  Options options() const { return {{"url", server.url()}, {"subject", std::string("events.\x1a.\x1a")}}; }

  NatsServer server;
  JetStream jetstream{server.url()};
};

TEST_F(Delivery, StoresSubjectIdHeadersAndPayloadAsGiven) {
  Instance sink(options());
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  const std::string payload = "{\"name\": \"Zo\xC3\xAB\", \"n\": 1.50,  \"list\": [1, 2]}";

  const auto results = sink.deliver({{"events.orders.insert", "key-1", payload, {{"trace", "a:b c"}}}});

  ASSERT_EQ(results[0].status, TIDE_STORED) << results[0].error;
  EXPECT_EQ(results[0].position, 2u) << "the sequence that follows";
  EXPECT_FALSE(results[0].duplicate);
  const auto stored = jetstream.messages("EVENTS");
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].subject, "events.orders.insert");
  EXPECT_EQ(stored[0].payload, payload);
  EXPECT_EQ(stored[0].header("Nats-Msg-Id"), "key-1");
  EXPECT_EQ(stored[0].header("trace"), "a:b c");
}

TEST_F(Delivery, KeepsEveryByteOfThePayload) {
  std::string payload;
  for (int byte = 0; byte < 256; ++byte) payload += static_cast<char>(byte);
  payload += "\r\n+OK\r\nPUB events.orders.insert 1\r\nx\r\n";
  Instance sink(options());

  const auto results = sink.deliver({{"events.a.insert", "k1", payload}, {"events.a.insert", "k2", ""}});

  EXPECT_EQ(results[0].status, TIDE_STORED) << results[0].error;
  EXPECT_EQ(results[1].status, TIDE_STORED) << results[1].error;
  const auto stored = jetstream.messages("EVENTS");
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].payload, payload);
  EXPECT_EQ(stored[1].payload, "");
}

TEST_F(Delivery, FlagsADuplicateAndStoresItOnce) {
  Instance first(options());
  EXPECT_EQ(first.deliver({{"events.a.insert", "same"}})[0].status, TIDE_STORED);
  Instance second(options());

  const auto results = second.deliver({{"events.a.insert", "same"}, {"events.a.insert", "other"}});

  EXPECT_EQ(results[0].status, TIDE_STORED);
  EXPECT_TRUE(results[0].duplicate);
  EXPECT_EQ(results[0].position, 2u);
  EXPECT_FALSE(results[1].duplicate);
  EXPECT_EQ(jetstream.info("EVENTS").messages, 2u);
}

TEST_F(Delivery, TakesAHeaderWithoutAValue) {
  const Event event{"events.a.insert", "k", "{}", {{"empty", ""}, {"other", "x"}}};
  Instance sink(options());
  EXPECT_EQ(sink.deliver({event})[0].status, TIDE_STORED);
  EXPECT_TRUE(sink.deliver({event})[0].duplicate) << "the empty header hid the key";
}

TEST_F(Delivery, NamesTheExpectedStreamWhenItIsConfigured) {
  auto with_stream = options();
  with_stream["stream"] = std::string("EVENTS");
  Instance sink(with_stream);

  ASSERT_EQ(sink.deliver({{"events.a.insert", "k"}})[0].status, TIDE_STORED);

  EXPECT_EQ(jetstream.messages("EVENTS")[0].header("Nats-Expected-Stream"), "EVENTS");
}

TEST_F(Delivery, StoresTenThousandMessagesInOrder) {
  std::vector<Event> events;
  for (int i = 0; i < 10000; ++i)
    events.push_back({"events.a.insert", "k" + std::to_string(i), "{\"i\": " + std::to_string(i) + "}"});
  Instance sink(options());

  const auto results = sink.deliver(events);

  std::uint64_t position = 1;
  for (const auto& result : results) {
    ASSERT_EQ(result.status, TIDE_STORED) << result.error;
    ASSERT_EQ(result.position, ++position);
  }
  const auto stored = jetstream.messages("EVENTS");
  ASSERT_EQ(stored.size(), events.size());
  for (std::size_t i = 0; i < stored.size(); ++i) ASSERT_EQ(stored[i].payload, events[i].payload);
}

TEST_F(Delivery, AcceptsFewerThanTheBatchWhenTooMuchIsInFlight) {
  const std::vector<Event> events(6000, {"events.a.insert", "same"});
  Instance sink(options());
  server.pause();

  const auto accepted = sink.publish(events);
  EXPECT_EQ(sink.outcome().status, TIDE_OK);
  EXPECT_GT(accepted, 0u);
  EXPECT_LT(accepted, events.size());
  EXPECT_EQ(sink.publish(events), 0u);
  EXPECT_EQ(sink.outcome().status, TIDE_OK);

  server.resume();
  std::size_t settled = 0;
  while (settled < accepted) {
    const auto results = sink.ack(seconds(1));
    ASSERT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
    settled += results.size();
  }
  EXPECT_GT(sink.publish(events), 0u);
}

TEST_F(Delivery, BoundsTheBytesThatWaitForASlowServer) {
  const std::vector<Event> events(1000, {"events.a.insert", "same", std::string(100'000, 'x')});
  Instance sink(options());
  server.pause();

  std::uint64_t accepted = 0;
  while (const auto more = sink.publish(events)) accepted += more;

  EXPECT_EQ(sink.outcome().status, TIDE_OK);
  EXPECT_LT(accepted * 100'000, 32'000'000u);
  server.resume();
}

TEST_F(Delivery, HandsOverNoMoreResultsThanAskedFor) {
  Instance sink(options());
  const std::vector<Event> events{{"events.a.insert", "1"}, {"events.a.insert", "2"}, {"events.a.insert", "3"}};
  ASSERT_EQ(sink.publish(events), 3u);

  std::size_t settled = 0;
  while (settled < events.size()) {
    const auto results = sink.ack(seconds(1), 1);
    ASSERT_LE(results.size(), 1u);
    settled += results.size();
  }
}

TEST_F(Delivery, ReturnsFromAckAtOnceWhenNothingIsInFlightAndNoTimeIsGiven) {
  Instance sink(options());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(sink.ack(milliseconds(0)).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(500));
  EXPECT_EQ(sink.outcome().status, TIDE_OK);
}

}  // namespace
}  // namespace tide::test
