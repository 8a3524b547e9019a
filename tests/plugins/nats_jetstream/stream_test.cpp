// What connect finds out about the stream, and what happens when a subject has none.
#include <gtest/gtest.h>

#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

const std::string any_event = "events.\x1a.\x1a";

void expect_fatal(const Options& options, const std::vector<std::string>& words) {
  const Instance sink(options);
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  for (const auto& word : words)
    EXPECT_NE(sink.connected().error.find(word), std::string::npos)
        << "no '" << word << "' in " << sink.connected().error;
}

class StreamLookup : public ::testing::Test {
 protected:
  Options options(const std::string& subject = any_event) const {
    return {{"url", server.url()}, {"subject", subject}};
  }
  Options options(const std::string& subject, const std::string& stream) const {
    return {{"url", server.url()}, {"subject", subject}, {"stream", stream}};
  }

  NatsServer server;
  JetStream jetstream{server.url()};
};

TEST_F(StreamLookup, FindsTheStreamByItsSubject) {
  StreamOptions stream;
  stream.duplicate_window = std::chrono::minutes(7);
  jetstream.create_stream("OTHER", {"other.>"});
  jetstream.create_stream("EVENTS", {"events.>"}, stream);

  const Instance sink(options());

  EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_NE(sink.log().find("stream EVENTS (duplicate window 420 s)"), std::string::npos) << sink.log();
}

TEST_F(StreamLookup, SaysHowToCreateAStreamWhenNoneTakesTheSubject) {
  expect_fatal(options(), {"Stream not found", "nats stream add EVENTS --subjects \"events.>\"", "`stream`",
                           "jetstream: enabled"});
}

TEST_F(StreamLookup, SaysHowToCreateTheNamedStreamWhenItIsMissing) {
  expect_fatal(options("orders.events", "ORDERS"),
               {"Stream not found", "nats stream add ORDERS --subjects \"orders.events\""});
}

TEST_F(StreamLookup, RefusesANamedStreamThatDoesNotTakeTheSubject) {
  jetstream.create_stream("ORDERS", {"orders.>", "returns.>"});
  expect_fatal(options(any_event, "ORDERS"), {"ORDERS", "events.*.*", "orders.>, returns.>"});
}

TEST_F(StreamLookup, RefusesAStreamThatDoesNotAcknowledge) {
  StreamOptions stream;
  stream.no_ack = true;
  jetstream.create_stream("EVENTS", {"events.>"}, stream);
  expect_fatal(options(), {"EVENTS", "no_ack"});
}

TEST_F(StreamLookup, RefusesASealedStream) {
  jetstream.create_stream("EVENTS", {"events.>"});
  jetstream.api("STREAM.UPDATE.EVENTS",
                R"({"name":"EVENTS","subjects":["events.>"],"sealed":true,"allow_rollup_hdrs":false,
    "discard":"new","deny_delete":true,"deny_purge":true})");
  expect_fatal(options(), {"EVENTS", "sealed"});
}

TEST_F(StreamLookup, RefusesAMirror) {
  jetstream.create_stream("ORIGIN", {"events.>"});
  jetstream.api("STREAM.CREATE.COPY", R"({"name":"COPY","mirror":{"name":"ORIGIN"}})");
  expect_fatal(options(any_event, "COPY"), {"COPY", "mirror"});
}

TEST_F(StreamLookup, SendsEachSubjectToTheStreamThatTakesIt) {
  jetstream.create_stream("ORDERS", {"events.orders.*"});
  jetstream.create_stream("OTHERS", {"events.parcels.delete", "returns.>"});
  jetstream.create_stream("ELSEWHERE", {"elsewhere.>"});
  Instance sink(options());
  EXPECT_NE(sink.log().find("stream ORDERS (duplicate window 120 s), OTHERS (duplicate window 120 s)"),
            std::string::npos)
      << sink.log();

  for (const auto& result : sink.deliver({{"events.orders.insert", "1"}, {"events.parcels.delete", "1"}}))
    EXPECT_EQ(result.status, TIDE_STORED) << result.error;

  EXPECT_EQ(jetstream.messages("ORDERS").at(0).subject, "events.orders.insert");
  EXPECT_EQ(jetstream.messages("OTHERS").at(0).subject, "events.parcels.delete");
}

TEST_F(StreamLookup, WarnsOfSubjectsThatNoStreamTakes) {
  jetstream.create_stream("EVENTS", {"events.orders.*", "events.returns.*"});
  const Instance some(options());
  EXPECT_EQ(some.connected().status, TIDE_OK);
  EXPECT_NE(some.log().find("no stream takes all of that: found events.orders.*, events.returns.*"), std::string::npos)
      << some.log();
  const Instance all(options("events.orders.\x1a"));
  EXPECT_EQ(all.log().find("takes all of that"), std::string::npos) << all.log();
}

TEST_F(StreamLookup, RefusesASubjectTemplateWithAWildcard) {
  jetstream.create_stream("EVENTS", {"events.>"});
  expect_fatal(options("events.*"), {"subject"});
  expect_fatal(options("events..x"), {"subject"});
}

TEST_F(StreamLookup, RefusesAStreamNameThatIsNone) {
  expect_fatal(options(any_event, "a.b"), {"'a.b'"});
}

TEST_F(StreamLookup, ChecksEverySubjectThatARouteCanGive) {
  jetstream.create_stream("EVENTS", {"events.>"});
  jetstream.create_stream("RETURNS", {"returns.>"});
  const auto routed = [&](const std::vector<std::string>& subjects, const std::string& stream = {}) {
    Options all{{"url", server.url()}, {"subject", subjects}};
    if (!stream.empty()) all["stream"] = stream;
    return all;
  };

  const Instance sink(routed({any_event, "returns.\x1c"}));
  EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_NE(sink.log().find("subject events.*.*, returns.>, stream EVENTS"), std::string::npos) << sink.log();
  EXPECT_NE(sink.log().find("RETURNS"), std::string::npos) << sink.log();

  expect_fatal(routed({any_event, "other.\x1a"}),
               {"Stream not found", "takes the subject other.*", "--subjects \"other.>\""});
  expect_fatal(routed({any_event, "returns.x"}, "EVENTS"), {"EVENTS does not take the subject returns.x", "`routes`"});
  expect_fatal(routed({any_event, "events.*"}), {"subject is not valid"});
}

TEST_F(StreamLookup, FindsAStreamWhereAVariableMayBeSeveralTokens) {
  jetstream.create_stream("EVENTS", {"events.*.*.*"});
  EXPECT_EQ(Instance(options("events.\x1c")).connected().status, TIDE_OK);
  EXPECT_EQ(Instance(options("events.\x1a")).connected().status, TIDE_FATAL);
}

TEST_F(StreamLookup, RetriesOnlyTheMessagesThatNoStreamTakes) {
  jetstream.create_stream("EVENTS", {"events.orders.>"});
  Instance sink(options());
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;

  const auto results = sink.deliver({{"events.orders.insert", "1"},
                                     {"events.other.insert", "2"},
                                     {"events.orders.insert", "3"},
                                     {"events.x.y", "4"}});

  EXPECT_EQ(results[0].status, TIDE_STORED) << results[0].error;
  EXPECT_EQ(results[1].status, TIDE_RETRY);
  EXPECT_NE(results[1].error.find("events.other.insert"), std::string::npos) << results[1].error;
  EXPECT_NE(results[1].error.find("nats stream add"), std::string::npos) << results[1].error;
  EXPECT_EQ(results[2].status, TIDE_STORED) << results[2].error;
  EXPECT_EQ(results[3].status, TIDE_RETRY);
}

TEST_F(StreamLookup, DeliversOnceTheStreamIsCreatedAgain) {
  jetstream.create_stream("EVENTS", {"events.>"});
  Instance sink(options());
  jetstream.delete_stream("EVENTS");
  EXPECT_EQ(sink.deliver({{"events.a.b", "1"}})[0].status, TIDE_RETRY);

  jetstream.create_stream("EVENTS", {"events.>"});

  EXPECT_EQ(sink.deliver({{"events.a.b", "1"}})[0].status, TIDE_STORED);
}

TEST_F(StreamLookup, StopsWhenTheSubjectBelongsToAnotherStream) {
  jetstream.create_stream("EVENTS", {"events.orders.>"});
  jetstream.create_stream("OTHER", {"events.other.>"});
  Instance sink(options(any_event, "EVENTS"));

  const auto results = sink.deliver({{"events.other.insert", "1"}, {"events.orders.insert", "2"}});

  EXPECT_EQ(results[0].status, TIDE_FATAL);
  EXPECT_EQ(results[0].native_code, 10060);
  EXPECT_EQ(results[1].status, TIDE_STORED) << results[1].error;
}

TEST_F(StreamLookup, RetriesWhenTheStreamIsFull) {
  StreamOptions stream;
  stream.discard = js_DiscardNew;
  stream.max_messages = 1;
  jetstream.create_stream("EVENTS", {"events.>"}, stream);
  Instance sink(options());

  const auto results = sink.deliver({{"events.a.b", "1"}, {"events.a.b", "2"}});

  EXPECT_EQ(results[0].status, TIDE_STORED) << results[0].error;
  EXPECT_EQ(results[1].status, TIDE_RETRY);
  EXPECT_EQ(results[1].native_code, 10077);
}

class CreateStream : public StreamLookup {
 protected:
  Options creating(const std::string& subject, Options more = {}) const {
    more.merge(options(subject));
    more["create_stream"] = true;
    return more;
  }
};

TEST_F(CreateStream, MakesOneOnDiskForTheWholeFamilyOfSubjects) {
  Instance sink(creating(any_event));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_NE(sink.log().find("created stream EVENTS on the subjects events.>"), std::string::npos) << sink.log();
  const auto config = jetstream.api("STREAM.INFO.EVENTS", "");
  for (const auto* part : {"\"subjects\":[\"events.\\u003e\"]", "\"storage\":\"file\"", "\"retention\":\"limits\"",
                           "\"max_msgs\":-1", "\"duplicate_window\":120000000000", "\"num_replicas\":1"})
    EXPECT_NE(config.find(part), std::string::npos) << part << " in " << config;
  EXPECT_EQ(sink.deliver({{"events.a.with.dots", "1"}})[0].status, TIDE_STORED);
}

TEST_F(CreateStream, TakesItsNameFromTheOption) {
  const Instance sink(creating("orders.events", {{"stream", "MINE"}}));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  EXPECT_NE(jetstream.api("STREAM.INFO.MINE", "").find("\"subjects\":[\"orders.events\"]"), std::string::npos);
}

TEST_F(CreateStream, ChangesNoneThatExists) {
  jetstream.create_stream("EVENTS", {"events.orders.*"});
  const auto before = jetstream.api("STREAM.INFO.EVENTS", "");
  const Instance taken(creating("events.orders.\x1a"));
  EXPECT_EQ(taken.connected().status, TIDE_OK) << taken.connected().error;
  expect_fatal(creating("events.returns.insert"), {"EVENTS", "in use", "never changes one that exists"});
  expect_fatal(creating("returns.a", {{"stream", "EVENTS"}}), {"EVENTS", "does not take the subject returns.a"});
  EXPECT_EQ(jetstream.api("STREAM.INFO.EVENTS", "").substr(0, before.find("\"state\"")),
            before.substr(0, before.find("\"state\"")));
}

TEST_F(CreateStream, MakesNoneThatWouldTakeTheSubjectsOfOthers) {
  expect_fatal(creating("\x1a.events"), {"create_stream", "begin with a fixed part"});
}

TEST_F(CreateStream, AsksForTheReplicasThatAreConfigured) {
  expect_fatal(creating(any_event, {{"create_stream_replicas", std::int64_t{3}}}),
               {"non-clustered", "create_stream_replicas"});
}

TEST_F(CreateStream, SaysWhichRightIsMissing) {
  server.stop();
  server.start(
      "authorization { users: [ {user: u, password: p, permissions: {publish: ['events.>', "
      "'$JS.API.STREAM.NAMES', '$JS.API.STREAM.INFO.*']}} ] }");
  expect_fatal(creating(any_event, {{"username", "u"}, {"password", "p"}}),
               {"Authorization violation", "$JS.API.STREAM.CREATE.EVENTS"});
}

TEST(WithoutJetStream, SaysSoForTheAccountAlone) {
  const NatsServer server(
      "accounts { WITH { jetstream: enabled, users: [{user: w, password: w}] }, WITHOUT { users: [{user: u, password: "
      "u}] } }");
  expect_fatal({{"url", server.url()}, {"subject", any_event}, {"username", "u"}, {"password", "u"}},
               {"No responders", "for this account"});
}

TEST(WithoutJetStream, SaysThatJetStreamIsNotEnabled) {
  const NatsServer server({}, false);
  expect_fatal({{"url", server.url()}, {"subject", any_event}}, {"No responders", "jetstream: enabled"});
}

}  // namespace
}  // namespace tide::test
