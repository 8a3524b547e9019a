// A JetStream that is elsewhere: behind a leaf node, or in another account under another prefix.
#include <gtest/gtest.h>

#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

const std::string any_event = "events.\x1a";

std::vector<Event> numbered(int count, bool maybe_sent = false) {
  std::vector<Event> events;
  for (int i = 0; i < count; ++i) events.push_back({"events.a", "k" + std::to_string(i), "{}", {}, maybe_sent});
  return events;
}

// Delivers, and then again as after a crash: what is stored already is found by reading the stream, with a consumer.
void expect_everything_works(const Options& options, JetStream& jetstream) {
  std::uint64_t begin = 0;
  {
    Instance sink(options);
    ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
    EXPECT_NE(sink.log().find("stream EVENTS (duplicate window 1 s)"), std::string::npos) << sink.log();
    begin = sink.standing().value();
    for (const auto& result : sink.deliver(numbered(100))) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  }
  Instance again(options, std::chrono::seconds(10), begin);
  ASSERT_EQ(again.connected().status, TIDE_OK) << again.connected().error;
  for (const auto& result : again.deliver(numbered(110, true))) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  again.ack(std::chrono::milliseconds(0));
  again.close();
  EXPECT_NE(again.log().find("of 110 events in doubt, 100 are stored already"), std::string::npos) << again.log();
  EXPECT_EQ(jetstream.info("EVENTS").messages, 110u);
}

StreamOptions short_window() {
  StreamOptions stream;
  stream.duplicate_window = std::chrono::seconds(1);
  return stream;
}

class LeafNode : public ::testing::Test {
 protected:
  LeafNode() {
    const auto port = std::to_string(free_port());
    hub = in_domain("hub", "leafnodes { host: 127.0.0.1, port: " + port + " }");
    leaf = in_domain("leaf", "leafnodes { remotes: [ { url: 'nats://127.0.0.1:" + port + "' } ] }");
    jetstream = std::make_unique<JetStream>(hub->url());
    jetstream->create_stream("EVENTS", {"events.>"}, short_window());
  }

  std::unique_ptr<NatsServer> in_domain(const std::string& name, const std::string& more) const {
    return std::make_unique<NatsServer>("server_name: " + name + "\njetstream { domain: " + name + ", store_dir: '" +
                                            (stores / name).string() + "' }\n" + more,
                                        false);
  }

  // The leaf node learns of the hub's subjects a moment after both are up.
  bool connects(const Options& options) const {
    return eventually(std::chrono::seconds(10), [&] { return Instance(options).connected().status == TIDE_OK; });
  }

  TempDir stores;
  std::unique_ptr<NatsServer> hub;
  std::unique_ptr<NatsServer> leaf;
  std::unique_ptr<JetStream> jetstream;
};

TEST_F(LeafNode, ReachesTheHubsStreamByItsDomain) {
  const Options options{{"url", leaf->url()}, {"subject", any_event}, {"js_domain", "hub"}};
  ASSERT_TRUE(connects(options));
  expect_everything_works(options, *jetstream);
}

TEST_F(LeafNode, HasNoStreamInItsOwnDomain) {
  const Instance sink({{"url", leaf->url()}, {"subject", any_event}, {"js_domain", "leaf"}});
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_NE(sink.connected().error.find("Stream not found"), std::string::npos) << sink.connected().error;
}

TEST_F(LeafNode, NamesADomainThatIsNotThere) {
  const Instance sink({{"url", leaf->url()}, {"subject", any_event}, {"js_domain", "elsewhere"}});
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  for (const auto* word : {"No responders", "$JS.elsewhere.API.STREAM.NAMES", "js_domain"})
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
}

class Import : public ::testing::Test {
 protected:
  NatsServer server{R"(accounts {
    HOME: { jetstream: enabled, users: [{user: home, password: home}], exports: [
      {service: "$JS.API.>", response_type: stream}, {service: "events.>"} ] }
    AWAY: { users: [{user: away, password: away}], imports: [
      {service: {account: HOME, subject: "$JS.API.>"}, to: "home.js.>"}, {service: {account: HOME, subject: "events.>"}} ] }
  })"};
  Options options(const std::string& prefix) const {
    return {{"url", server.url()},
            {"subject", any_event},
            {"username", "away"},
            {"password", "away"},
            {"js_api_prefix", prefix}};
  }
};

TEST_F(Import, ReachesTheOtherAccountsStreamByItsPrefix) {
  JetStream jetstream("nats://home:home@127.0.0.1:" + std::to_string(server.port()));
  jetstream.create_stream("EVENTS", {"events.>"}, short_window());
  expect_everything_works(options("home.js"), jetstream);
}

TEST_F(Import, CreatesTheStreamThere) {
  Options creating = options("home.js.");
  creating["create_stream"] = true;
  const Instance sink(creating);
  EXPECT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  JetStream jetstream("nats://home:home@127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(jetstream.info("EVENTS").messages, 0u);
}

TEST_F(Import, NamesAPrefixThatLeadsNowhere) {
  const Instance sink(options("nowhere"));
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  for (const auto* word : {"No responders", "nowhere.STREAM.NAMES", "js_api_prefix"})
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
}

TEST(ApiPrefix, RefusesWhatIsNone) {
  const auto refused = [](Options options, const std::string& word) {
    options.insert({{"url", "nats://127.0.0.1:1"}, {"subject", any_event}});
    const Instance sink(options);
    EXPECT_EQ(sink.connected().status, TIDE_FATAL);
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
  };
  refused({{"js_domain", "hub"}, {"js_api_prefix", "x"}}, "keep one");
  refused({{"js_domain", "a.b"}}, "'a.b'");
  refused({{"js_api_prefix", "a..b"}}, "'a..b'");
  refused({{"js_api_prefix", "a.>"}}, "'a.>'");
}

}  // namespace
}  // namespace tide::test
