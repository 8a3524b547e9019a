// "exclusive": true. Each message must find the last sequence that the one before it left.
#include <gtest/gtest.h>

#include <thread>

#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Exclusive : public ::testing::Test {
 protected:
  void create_stream(StreamOptions stream = {}) { jetstream.create_stream("EVENTS", {"events.>"}, stream); }
  Options options() const {
    return {{"url", server.url()}, {"subject", std::string("events.\x1a")}, {"exclusive", true}};
  }
  static std::vector<Event> events(int from, int to) {
    std::vector<Event> made;
    for (int i = from; i < to; ++i) made.push_back({"events.a", "k" + std::to_string(i)});
    return made;
  }

  // As the relay does it: what is to be retried goes out again, in order, once nothing is in flight. Returns how many
  // rounds it took; 0 when the instance broke.
  static int deliver_with_retries(Instance& sink, std::vector<Event> left) {
    for (int round = 1; round < 1000; ++round) {
      const auto results = sink.deliver(left);
      std::vector<Event> again;
      for (std::size_t i = 0; i < left.size(); ++i) {
        if (results[i].status == -1) return 0;
        if (results[i].status == TIDE_RETRY) again.push_back(left[i]);
      }
      if (again.empty()) return round;
      left = again;
    }
    return 0;
  }

  std::vector<std::string> keys() {
    std::vector<std::string> found;
    for (const auto& message : jetstream.messages("EVENTS")) found.push_back(message.header("Nats-Msg-Id"));
    return found;
  }
  static std::vector<std::string> keys_of(const std::vector<Event>& list) {
    std::vector<std::string> found;
    for (const auto& event : list) found.push_back(event.key);
    return found;
  }

  NatsServer server;
  JetStream jetstream{server.url()};
};

TEST_F(Exclusive, ChainsTheMessages) {
  create_stream();
  jetstream.publish("events.before", "");
  Instance sink(options());
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;

  EXPECT_EQ(deliver_with_retries(sink, events(0, 10000)), 1);

  const auto stored = jetstream.messages("EVENTS");
  ASSERT_EQ(stored.size(), 10001u);
  for (std::size_t i = 1; i < stored.size(); ++i) {
    ASSERT_EQ(stored[i].header("Nats-Msg-Id"), "k" + std::to_string(i - 1));
    ASSERT_EQ(stored[i].header("Nats-Expected-Last-Sequence"), std::to_string(i));
    ASSERT_EQ(stored[i].header("Nats-Expected-Stream"), "EVENTS");
  }
}

TEST_F(Exclusive, StoresNothingAfterAMessageThatWasRejected) {
  StreamOptions stream;
  stream.max_message_size = 1000;
  create_stream(stream);
  auto list = events(0, 1000);
  list[300].payload = std::string(2000, 'x');
  Instance sink(options());

  const auto results = sink.deliver(list);

  EXPECT_EQ(results[299].status, TIDE_STORED) << results[299].error;
  EXPECT_EQ(results[300].status, TIDE_REJECTED);
  for (std::size_t i = 301; i < results.size(); ++i) {
    ASSERT_EQ(results[i].status, TIDE_RETRY) << i;
    ASSERT_EQ(results[i].native_code, 10071) << i;
  }
  list.erase(list.begin(), list.begin() + 301);
  EXPECT_EQ(deliver_with_retries(sink, list), 1);
  EXPECT_EQ(sink.log().find("somebody else"), std::string::npos) << sink.log();
  auto expected = keys_of(events(0, 1000));
  expected.erase(expected.begin() + 300);
  EXPECT_EQ(keys(), expected);
}

TEST_F(Exclusive, GoesOnAfterDuplicates) {
  create_stream();
  Instance sink(options());
  auto list = events(0, 1000);
  for (const int i : {100, 101, 500}) list[static_cast<std::size_t>(i)].key = "k7";

  EXPECT_GT(deliver_with_retries(sink, list), 1);

  EXPECT_EQ(sink.log().find("somebody else"), std::string::npos) << sink.log();
  auto expected = keys_of(events(0, 1000));
  expected.erase(expected.begin() + 500);
  expected.erase(expected.begin() + 100, expected.begin() + 102);
  EXPECT_EQ(keys(), expected);
}

TEST_F(Exclusive, WaitsForAFullStreamWithoutBlamingAnybody) {
  StreamOptions stream;
  stream.discard = js_DiscardNew;
  stream.max_messages = 100;
  create_stream(stream);
  Instance sink(options());
  for (int round = 0; round < 6; ++round) {
    const auto list = round == 0 ? events(0, 200) : events(100, 200);
    EXPECT_EQ(sink.deliver(list).back().status, TIDE_RETRY);
    ASSERT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
  }
  stream.max_messages = 1000;
  jetstream.update_stream("EVENTS", {"events.>"}, stream);

  EXPECT_EQ(deliver_with_retries(sink, events(100, 200)), 1);

  EXPECT_EQ(keys(), keys_of(events(0, 200)));
}

TEST_F(Exclusive, AZombieIsFenced) {
  StreamOptions stream;
  stream.duplicate_window = milliseconds(100);
  create_stream(stream);
  Instance zombie(options());
  EXPECT_EQ(deliver_with_retries(zombie, events(0, 10)), 1);
  Instance successor(options());
  EXPECT_EQ(deliver_with_retries(successor, events(10, 1010)), 1);
  std::this_thread::sleep_for(milliseconds(1000));  // until the stream has forgotten their keys

  const auto results = zombie.deliver(events(10, 510));

  for (const auto& result : results) {
    ASSERT_EQ(result.status, TIDE_RETRY);
    ASSERT_EQ(result.native_code, 10071);
  }
  EXPECT_EQ(deliver_with_retries(successor, events(1010, 1020)), 1);
  EXPECT_EQ(keys(), keys_of(events(0, 1020)));
}

TEST_F(Exclusive, TwoRelaysThatSendTheSameEventsKeepTheirOrder) {
  create_stream();
  Instance zombie(options());
  EXPECT_EQ(deliver_with_retries(zombie, events(0, 10)), 1);
  Instance successor(options());
  EXPECT_EQ(deliver_with_retries(successor, events(10, 100)), 1);

  zombie.deliver(events(10, 500));
  EXPECT_GE(deliver_with_retries(successor, events(100, 1000)), 1);

  EXPECT_EQ(keys(), keys_of(events(0, 1000)));
}

TEST_F(Exclusive, StopsWhenSomebodyElseKeepsWriting) {
  create_stream();
  Instance sink(options());
  for (int round = 0; round < 4; ++round) {
    jetstream.publish("events.foreign", "");
    EXPECT_EQ(sink.deliver(events(0, 5))[0].status, TIDE_RETRY) << round;
    ASSERT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
    if (round < 3) sink.ack(milliseconds(500));  // reads the last sequence again, which is an old one soon
  }
  EXPECT_NE(sink.log().find("somebody else"), std::string::npos) << sink.log();
  sink.ack(milliseconds(500));
  EXPECT_EQ(sink.outcome().status, TIDE_FATAL);
  for (const auto* word : {"EVENTS", "another writer", "another relay that lost its lock"})
    EXPECT_NE(sink.outcome().error.find(word), std::string::npos) << sink.outcome().error;
}

TEST_F(Exclusive, RecoversFromOneForeignMessage) {
  create_stream();
  Instance sink(options());
  jetstream.publish("events.foreign", "");

  EXPECT_EQ(deliver_with_retries(sink, events(0, 1000)), 2);

  EXPECT_EQ(jetstream.info("EVENTS").messages, 1001u);
}

TEST_F(Exclusive, NeedsOneStream) {
  jetstream.create_stream("A", {"events.a"});
  jetstream.create_stream("B", {"events.b"});
  const Instance sink(options());
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  for (const auto* word : {"exclusive", "A (", "B (", "`stream`"})
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
}

}  // namespace
}  // namespace tide::test
