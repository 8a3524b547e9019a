// Messages that can never be stored are rejected with a reason, and the rest flows on.
#include <gtest/gtest.h>

#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

using ::testing::Test;

class Rejection : public Test {
 protected:
  Rejection() {
    StreamOptions stream;
    stream.max_message_size = 200'000;
    jetstream.create_stream("EVENTS", {"events.>"}, stream);
  }

  // Between two good events, so that a rejected one is seen to hold up neither.
  Result deliver_between_good_ones(const Event& event) {
    Instance sink({{"url", server.url()}, {"subject", std::string("events.\x1a")}});
    EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
    const auto results = sink.deliver({{"events.good", "before"}, event, {"events.good", "after"}});
    EXPECT_EQ(results[0].status, TIDE_STORED) << results[0].error;
    EXPECT_EQ(results[2].status, TIDE_STORED) << results[2].error;
    return results[1];
  }

  void expect_rejected(const Event& event, const std::string& reason) {
    const auto result = deliver_between_good_ones(event);
    EXPECT_EQ(result.status, TIDE_REJECTED);
    EXPECT_NE(result.error.find(reason), std::string::npos) << result.error;
  }

  NatsServer server;
  JetStream jetstream{server.url()};
};

TEST_F(Rejection, RejectsWhatExceedsTheServersMaximumAndNamesBothSizes) {
  const auto result = deliver_between_good_ones({"events.a", "k", std::string(1'048'577, 'x')});
  EXPECT_EQ(result.status, TIDE_REJECTED);
  EXPECT_NE(result.error.find("1048577"), std::string::npos) << result.error;
  EXPECT_NE(result.error.find("1048576"), std::string::npos) << result.error;
}

TEST_F(Rejection, CountsTheHeadersIntoTheSize) {
  expect_rejected({"events.a", "k", std::string(1'048'576, 'x')}, "max_payload");
}

TEST_F(Rejection, RejectsWhatExceedsTheStreamsMaximum) {
  const auto result = deliver_between_good_ones({"events.a", "k", std::string(250'000, 'x')});
  EXPECT_EQ(result.status, TIDE_REJECTED);
  EXPECT_EQ(result.native_code, 10054);
}

TEST_F(Rejection, RejectsHeadersThatTheServerFindsTooLarge) {
  const auto result = deliver_between_good_ones({"events.a", "k", "{}", {{"big", std::string(70'000, 'x')}}});
  EXPECT_EQ(result.status, TIDE_REJECTED);
  EXPECT_EQ(result.native_code, 10097);
}

TEST_F(Rejection, RejectsASubjectThatIsNotOne) {
  for (const std::string subject : {"", ".", "events.", ".events", "events..a", "events.a b", "events.*", "events.>",
                                    "events.a\tb", "events.a\r\nPUB x"})
    expect_rejected({subject, "k"}, "subject");
}

TEST_F(Rejection, RejectsHeadersThatWouldSteerJetStream) {
  for (const std::string name : {"Nats-Msg-Id", "nats-msg-id", "Nats-Expected-Stream", "Nats-Expected-Last-Sequence",
                                 "Nats-Rollup", "Nats-Batch-Id", "Nats-TTL", "Nats-Trace-Dest", "nats-incr"})
    expect_rejected({"events.a", "k", "{}", {{name, "1"}}}, name);
}

TEST_F(Rejection, RejectsHeadersThatCannotBeWritten) {
  for (const std::string name : {"", "a b", "a:b", "a\r\nb"})
    expect_rejected({"events.a", "k", "{}", {{name, "1"}}}, "header");
  for (const std::string& value : {std::string("a\r\nb: c"), std::string("a\nb"), std::string("a\0b", 3)})
    expect_rejected({"events.a", "k", "{}", {{"name", value}}}, "'name'");
}

// Of what a stream holds already the headers alone are read, where cnats would take it for the server's word.
TEST_F(Rejection, RejectsAHeaderThatLooksLikeTheServersWord) {
  for (const auto* value : {"503", " \t503 or so"})
    expect_rejected({"events.a", "k", "{}", {{"Status", value}}}, "Status");
}

TEST_F(Rejection, RejectsAKeyThatCannotBeAHeader) {
  expect_rejected({"events.a", "k\r\nx: y"}, "key");
  for (const std::string key : {"k ", " k", " "}) expect_rejected({"events.a", key}, "a space");
}

}  // namespace
}  // namespace tide::test
