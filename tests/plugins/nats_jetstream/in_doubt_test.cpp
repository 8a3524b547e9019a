// Messages that an earlier connection may have stored, long after the duplicate window.
#include <gtest/gtest.h>

#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string any_event = "events.\x1a.\x1a";

std::vector<Event> events(int from, int to, bool maybe_sent, const std::string& subject = "events.a.insert") {
  std::vector<Event> made;
  for (int i = from; i < to; ++i) made.push_back({subject, "k" + std::to_string(i), "{}", {}, maybe_sent});
  return made;
}

class InDoubt : public ::testing::Test {
 protected:
  explicit InDoubt(const std::string& config = {}) : server(config) {}

  void create_stream(StreamOptions stream = {}, seconds duplicate_window = seconds(1)) {
    stream.duplicate_window = duplicate_window;
    jetstream.create_stream("EVENTS", {"events.>", "other.>"}, stream);
  }
  Options options() const { return {{"url", server.url()}, {"subject", any_event}}; }

  // Returns when the stream has forgotten the keys of what it stored before this call.
  void outlive_the_duplicate_window() {
    jetstream.publish("other.probe", "", "probe");
    const auto held = jetstream.info("EVENTS").messages;
    ASSERT_TRUE(eventually(seconds(20), [&] {
      jetstream.publish("other.probe", "", "probe");
      return jetstream.info("EVENTS").messages > held;
    }));
  }

  void expect_each_once(int count) {
    std::map<std::string, int> times;
    for (const auto& message : jetstream.messages("EVENTS"))
      if (message.subject.starts_with("events.")) ++times[message.header("Nats-Msg-Id")];
    EXPECT_EQ(times.size(), static_cast<std::size_t>(count));
    for (const auto& [key, number] : times) EXPECT_EQ(number, 1) << key;
  }

  static void expect_stored(const std::vector<Result>& results) {
    for (const auto& result : results) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  }

  NatsServer server;
  JetStream jetstream{server.url()};
};

TEST_F(InDoubt, AreNotStoredAgainBeyondTheDuplicateWindow) {
  create_stream();
  std::uint64_t confirmed = 0;
  {
    Instance sink(options());
    const auto results = sink.deliver(events(0, 5000, false));
    expect_stored(results);
    confirmed = results[999].position;
  }
  outlive_the_duplicate_window();

  Instance sink(options(), seconds(10), confirmed);
  auto again = events(1000, 5000, true);
  const auto more = events(5000, 5500, false);
  again.insert(again.end(), more.begin(), more.end());
  const auto results = sink.deliver(again);

  expect_stored(results);
  for (std::size_t i = 0; i < results.size(); ++i) {
    ASSERT_EQ(results[i].duplicate, i < 4000) << i;
    ASSERT_LE(results[i].position, i < 4000 ? confirmed + 1 + i : UINT64_MAX) << i;
  }
  expect_each_once(5500);
  EXPECT_NE(sink.log().find("read 4000 headers of stream EVENTS after sequence 1000"), std::string::npos) << sink.log();
  EXPECT_NE(sink.log().find("of 4000 events in doubt, 4000 are stored already"), std::string::npos) << sink.log();
}

TEST_F(InDoubt, AreSentWhenTheStreamDoesNotHoldThem) {
  create_stream();
  std::vector<Event> half;
  for (const auto& event : events(0, 2000, false))
    if (half.empty() || std::stoi(event.key.substr(1)) % 2 == 0) half.push_back(event);
  std::uint64_t nothing_confirmed = 0;
  {
    Instance sink(options());
    nothing_confirmed = sink.standing().value();
    expect_stored(sink.deliver(half));
  }
  outlive_the_duplicate_window();

  Instance sink(options(), seconds(10), nothing_confirmed);
  expect_stored(sink.deliver(events(0, 2000, true)));

  expect_each_once(2000);
}

// The relay may commit the position as soon as it has this result, and die before it sends the rest.
TEST_F(InDoubt, StandAfterEveryPositionThatIsToldBeforeTheyAreSent) {
  create_stream();
  {
    Instance sink(options());
    expect_stored(sink.deliver(events(1, 5, false)));  // k1 to k4 stand at 1 to 4; k0 is missing
  }
  outlive_the_duplicate_window();
  std::uint64_t told = 0;
  {
    Instance sink(options(), seconds(10), 1);
    told = sink.deliver(events(0, 1, true))[0].position;
    EXPECT_EQ(told, 1u) << "k1 is not settled";
  }

  Instance sink(options(), seconds(10), told);
  expect_stored(sink.deliver(events(1, 5, true)));

  expect_each_once(5);
}

TEST_F(InDoubt, AreFoundFromThePipelinesFirstMessageOn) {
  create_stream();
  {
    Instance sink(options());
    EXPECT_EQ(sink.standing(), 1u) << "an empty stream has a position, too";
    expect_stored(sink.deliver(events(0, 300, false)));
  }
  outlive_the_duplicate_window();

  Instance sink(options(), seconds(10), 1);
  EXPECT_FALSE(sink.standing()) << "it would put the events in doubt out of sight";
  expect_stored(sink.deliver(events(0, 300, true)));

  expect_each_once(300);
}

TEST_F(InDoubt, AreNotLookedForBeforeThePipelineBegan) {
  create_stream();
  for (int i = 0; i < 100; ++i) jetstream.publish("events.a.insert", "", "old" + std::to_string(i));

  Instance sink(options());
  EXPECT_EQ(sink.standing(), 101u);
  expect_stored(sink.deliver(events(0, 10, true)));

  EXPECT_EQ(sink.log().find("headers"), std::string::npos) << sink.log();
}

TEST_F(InDoubt, AreLookedForOnThePipelinesOwnSubjectsOnly) {
  create_stream();
  for (int i = 0; i < 500; ++i) jetstream.publish("other.x", "", "other" + std::to_string(i));
  {
    Instance sink(options());
    expect_stored(sink.deliver(events(0, 10, false)));
  }
  for (int i = 0; i < 500; ++i) jetstream.publish("other.x", "", "more" + std::to_string(i));
  outlive_the_duplicate_window();

  Instance sink(options(), seconds(10), 1);
  expect_stored(sink.deliver(events(0, 10, true)));
  sink.ack(milliseconds(0));
  sink.ack(milliseconds(0));

  expect_each_once(10);
  EXPECT_NE(sink.log().find("read 10 headers"), std::string::npos) << sink.log();
}

TEST_F(InDoubt, AreLookedForOnTheSubjectsOfAllRoutes) {
  create_stream();
  const Options routed{{"url", server.url()}, {"subject", std::vector<std::string>{"events.a.\x1a", "events.b"}}};
  const auto sent = [](bool maybe_sent) {
    auto all = events(0, 10, maybe_sent);
    const auto more = events(10, 20, maybe_sent, "events.b");
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  {
    Instance sink(routed);
    expect_stored(sink.deliver(sent(false)));
  }
  for (int i = 0; i < 5; ++i) jetstream.publish("other.x", "", "foreign" + std::to_string(i));
  outlive_the_duplicate_window();

  Instance sink(routed, seconds(10), 1);
  expect_stored(sink.deliver(sent(true)));
  expect_stored(sink.deliver(events(20, 21, false)));  // all that was in doubt is past

  expect_each_once(21);
  EXPECT_NE(sink.log().find("of 20 events in doubt, 20 are stored already"), std::string::npos) << sink.log();
  EXPECT_NE(sink.log().find("read 20 headers"), std::string::npos) << "others' are not read: " << sink.log();
}

TEST_F(InDoubt, DoNotHoldUpAnyCallWhileMuchIsRead) {
  create_stream();
  {
    Instance sink(options());
    expect_stored(sink.deliver(events(0, 50000, false)));
  }
  outlive_the_duplicate_window();
  Instance sink(options(), seconds(10), 1);

  const auto again = events(0, 100, true);
  int calls = 0;
  std::uint64_t accepted = 0;
  for (; accepted == 0 && calls < 10000; ++calls) {
    accepted = sink.publish(again);
    ASSERT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
    const auto start = std::chrono::steady_clock::now();
    sink.ack(milliseconds(5));
    EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(1));
  }

  EXPECT_EQ(accepted, 100u);
  EXPECT_GT(calls, 2);
  sink.close();
  EXPECT_NE(sink.log().find("read 50000 headers"), std::string::npos) << sink.log();
  RecordProperty("log", sink.log());
}

TEST_F(InDoubt, SurviveANewInstanceThatSendsNothing) {
  create_stream();
  {
    Instance sink(options());
    expect_stored(sink.deliver(events(0, 50, false)));
  }
  outlive_the_duplicate_window();
  {
    Instance sink(options(), seconds(10), 1);
    EXPECT_EQ(sink.publish(events(0, 50, true)), 0u);  // and dies while it reads
  }

  Instance sink(options(), seconds(10), 1);
  expect_stored(sink.deliver(events(0, 50, true)));

  expect_each_once(50);
}

TEST_F(InDoubt, StartAfreshInAStreamThatWasMadeAnew) {
  create_stream();
  {
    Instance sink(options());
    expect_stored(sink.deliver(events(0, 50, false)));
  }
  jetstream.delete_stream("EVENTS");
  create_stream();

  Instance sink(options(), seconds(10), 51);
  EXPECT_EQ(sink.standing(), 1u);
  EXPECT_NE(sink.log().find("made anew"), std::string::npos) << sink.log();
  expect_stored(sink.deliver(events(40, 50, true)));
  EXPECT_EQ(jetstream.info("EVENTS").messages, 10u);
}

TEST_F(InDoubt, AreNotLookedForInAWorkQueue) {
  StreamOptions stream;
  stream.retention = js_WorkQueuePolicy;
  create_stream(stream, seconds(120));
  {
    Instance sink(options());
    expect_stored(sink.deliver(events(0, 5, false)));
  }
  Instance sink(options(), seconds(10), 1);
  for (const auto& result : sink.deliver(events(0, 5, true))) EXPECT_TRUE(result.duplicate) << "the window still holds";
  EXPECT_EQ(sink.log().find("headers"), std::string::npos) << sink.log();
}

class InDoubtWithoutRights : public InDoubt {
 protected:
  InDoubtWithoutRights()
      : InDoubt(
            "authorization { users: [ {user: all, password: p}, {user: relay, password: p, permissions: {"
            " publish: [\"events.>\", \"$JS.API.STREAM.NAMES\", \"$JS.API.STREAM.INFO.*\"] } } ] }\n"
            "no_auth_user: all") {}
};

TEST_F(InDoubtWithoutRights, ArePublishedWithAWarning) {
  create_stream({}, seconds(120));
  auto limited = options();
  limited["username"] = std::string("relay");
  limited["password"] = std::string("p");
  {
    Instance sink(limited);
    expect_stored(sink.deliver(events(0, 5, false)));
  }

  Instance sink(limited, seconds(10), 1);
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  expect_stored(sink.deliver(events(0, 10, true)));

  expect_each_once(10);
  EXPECT_NE(sink.log().find("Allow publishing to $JS.API.CONSUMER.CREATE.EVENTS"), std::string::npos) << sink.log();
}

// cnats takes the line that follows a header without a value for its value.
TEST_F(InDoubt, AreFoundBehindAHeaderWithoutAValue) {
  create_stream();
  std::vector<Event> all;
  for (const std::string name : {"tenant", "user", "type", "request-id", "source", "a", "z"})
    all.push_back({"events.a.insert", "key of " + name, "{}", {{name, ""}}});
  std::uint64_t begin = 0;
  {
    Instance sink(options());
    begin = sink.standing().value();
    expect_stored(sink.deliver(all));
  }
  outlive_the_duplicate_window();
  for (auto& event : all) event.maybe_sent = true;
  Instance sink(options(), seconds(10), begin);
  const auto results = sink.deliver(all);
  expect_stored(results);
  for (const auto& result : results) EXPECT_TRUE(result.duplicate);
  std::size_t held = 0;  // by their number: the client library of this test reads their keys no better
  for (const auto& message : jetstream.messages("EVENTS")) held += message.subject.starts_with("events.") ? 1 : 0;
  EXPECT_EQ(held, all.size());
}

}  // namespace
}  // namespace tide::test
