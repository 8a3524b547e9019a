// Each way to authenticate, right and wrong, and what a user without rights is told.
#include <gtest/gtest.h>

#include <nats/nats.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "jwt_operator.hpp"
#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

const std::string secret = "s3cr3t:p@ss/word,%";
const std::string encoded_secret = "s3cr3t%3Ap%40ss%2Fword%2C%25";

// A pair from the NATS documentation.
const std::string nkey_seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const std::string nkey_public = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

const std::string other_nkey_seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";

std::string with_user_info(const NatsServer& server, const std::string& user_info) {
  return "nats://" + user_info + "@127.0.0.1:" + std::to_string(server.port());
}

// tide::test::JetStream knows no credentials files.
bool create_stream_as(const std::string& url, const std::string& credentials_file) {
  natsOptions* options = nullptr;
  natsConnection* connection = nullptr;
  jsCtx* jetstream = nullptr;
  jsStreamConfig stream;
  const char* subjects[] = {"events.>"};
  jsStreamConfig_Init(&stream);
  stream.Name = "EVENTS";
  stream.Subjects = subjects;
  stream.SubjectsLen = 1;
  natsOptions_Create(&options);
  natsOptions_SetURL(options, url.c_str());
  natsOptions_SetUserCredentialsFromFiles(options, credentials_file.c_str(), nullptr);
  const bool created = natsConnection_Connect(&connection, options) == NATS_OK &&
                       natsConnection_JetStream(&jetstream, connection, nullptr) == NATS_OK &&
                       js_AddStream(nullptr, jetstream, &stream, nullptr, nullptr) == NATS_OK;
  jsCtx_Destroy(jetstream);
  natsConnection_Destroy(connection);
  natsOptions_Destroy(options);
  return created;
}

class Authentication : public ::testing::Test {
 protected:
  // The test's own user makes the stream.
  static std::string users(const std::string& more) {
    return "authorization { users: [ {user: admin, password: admin}, " + more + " ] }";
  }

  void start(const std::string& config, const std::string& admin) {
    server = std::make_unique<NatsServer>(config);
    JetStream(with_user_info(*server, admin)).create_stream("EVENTS", {"events.>"});
  }

  Outcome attempt(Options options) const {
    options.emplace("url", server->url());
    options.emplace("subject", std::string("events.a"));
    Instance sink(options);
    if (sink.connected().status != TIDE_OK) return sink.connected();
    const auto results = sink.deliver({{"events.a", "k"}});
    if (results[0].status != -1) return {results[0].status, results[0].error};
    return sink.outcome();
  }

  void expect_authorized(const Options& options) const {
    const auto outcome = attempt(options);
    EXPECT_EQ(outcome.status, TIDE_OK) << outcome.error;
  }

  void expect_violation(const Options& options) const {
    const auto outcome = attempt(options);
    EXPECT_EQ(outcome.status, TIDE_FATAL);
    for (const auto* word : {"Authorization violation", "publish permission", "seed matches"})
      EXPECT_NE(outcome.error.find(word), std::string::npos) << outcome.error;
    EXPECT_EQ(outcome.error.find("s3cr3t"), std::string::npos) << outcome.error;
  }

  // What became of an instance that the server should cut off; TIDE_OK when it did not.
  static Outcome broken_within(Instance& sink, std::chrono::milliseconds time) {
    eventually(time, [&] {
      sink.ack(std::chrono::milliseconds(100));
      return sink.outcome().status != TIDE_OK;
    });
    return sink.outcome();
  }

  std::unique_ptr<NatsServer> server;
};

TEST_F(Authentication, TakesUserAndPassword) {
  start(users("{user: relay, password: '" + secret + "'}"), "admin:admin");
  expect_authorized({{"username", "relay"}, {"password", secret}});
  expect_violation({{"username", "relay"}, {"password", "s3cr3t-but-wrong"}});
  expect_violation({});
}

TEST_F(Authentication, TakesPercentEncodedUserInfoFromTheUrl) {
  start(users("{user: relay, password: '" + secret + "'}"), "admin:admin");
  expect_authorized({{"url", with_user_info(*server, "relay:" + encoded_secret)}});
  expect_violation({{"url", with_user_info(*server, "relay:s3cr3t")}});
}

TEST_F(Authentication, TakesATokenFromItsOptionOrTheUrl) {
  start("authorization { token: 'the-token' }", "the-token");
  expect_authorized({{"token", "the-token"}});
  expect_authorized({{"url", with_user_info(*server, "the-token")}});
  expect_violation({{"token", "s3cr3t-but-wrong"}});
}

TEST_F(Authentication, TakesAnNkeySeed) {
  start(users("{nkey: " + nkey_public + "}"), "admin:admin");
  expect_authorized({{"nkey_seed", nkey_seed}});
  expect_violation({{"nkey_seed", other_nkey_seed}});
}

class Credentials : public Authentication {
 protected:
  Credentials() {
    server = std::make_unique<NatsServer>(operator_->server_config());
    const bool created = eventually(std::chrono::seconds(20),
                                    [this] { return create_stream_as(server->url(), operator_->file("relay.creds")); });
    EXPECT_TRUE(created) << nats_GetLastError(nullptr);
  }
  static void SetUpTestSuite() { operator_ = std::make_unique<JwtOperator>(); }
  static void TearDownTestSuite() { operator_.reset(); }

  Options with(const std::string& name) const { return {{"credentials_file", operator_->file(name)}}; }

  inline static std::unique_ptr<JwtOperator> operator_;
};

TEST_F(Credentials, Authorize) {
  expect_authorized(with("relay.creds"));
  expect_violation({});
}

TEST_F(Credentials, AreRefusedWhenTheyAreWrong) {
  for (const auto* name : {"wrong-seed.creds", "stranger.creds", "expired.creds"}) {
    SCOPED_TRACE(name);
    expect_violation(with(name));
  }
}

TEST_F(Credentials, OfAUserWithoutTheRightToPublishAreRefusedAtConnect) {
  const Instance sink({{"url", server->url()},
                       {"subject", std::string("events.a")},
                       {"credentials_file", operator_->file("no-publish.creds")}});
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  for (const auto* word : {"Authorization violation", "Publish to \"events.a\"", "publish permission"})
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
}

TEST_F(Credentials, OfAnotherAccountFindNoStream) {
  const auto outcome = attempt(with("empty-account.creds"));
  EXPECT_EQ(outcome.status, TIDE_FATAL);
  EXPECT_NE(outcome.error.find("Stream not found"), std::string::npos) << outcome.error;
}

TEST_F(Credentials, OfAnAccountWithoutJetStreamAreToldSo) {
  const auto outcome = attempt(with("bare-account.creds"));
  EXPECT_EQ(outcome.status, TIDE_FATAL);
  for (const auto* word : {"No responders", "for this account"})
    EXPECT_NE(outcome.error.find(word), std::string::npos) << outcome.error;
}

TEST_F(Credentials, AreReadAgainAfterTheUserWasRevoked) {
  const std::string file = operator_->file("current.creds");
  const auto replace_by = [&](const std::string& name) {
    std::filesystem::copy_file(operator_->file(name), file, std::filesystem::copy_options::overwrite_existing);
  };
  replace_by("relay.creds");
  const Options options{{"url", server->url()}, {"subject", std::string("events.a")}, {"credentials_file", file}};
  Instance sink(options);
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  ASSERT_EQ(sink.deliver({{"events.a", "1"}})[0].status, TIDE_STORED);

  server->reload(operator_->revoked_config());
  const auto outcome = broken_within(sink, std::chrono::seconds(5));
  EXPECT_EQ(outcome.status, TIDE_RETRY) << outcome.error;
  for (const auto* word : {"Revoked", "credentials_file is read again"})
    EXPECT_NE(outcome.error.find(word), std::string::npos) << outcome.error;
  expect_violation(options);

  replace_by("next.creds");
  expect_authorized(options);
}

TEST_F(Credentials, AreReadAgainAfterTheyExpired) {
  constexpr int seconds_to_live = 10;
  const std::string file = operator_->file("short.creds");
  const Options options{{"url", server->url()}, {"subject", std::string("events.a")}, {"credentials_file", file}};
  operator_->make_short_lived(seconds_to_live);
  Instance sink(options);
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  ASSERT_EQ(sink.deliver({{"events.a", "1"}})[0].status, TIDE_STORED);

  const auto outcome = broken_within(sink, std::chrono::seconds(2 * seconds_to_live));
  EXPECT_EQ(outcome.status, TIDE_RETRY) << outcome.error;
  for (const auto* word : {"Expired", "credentials_file is read again"})
    EXPECT_NE(outcome.error.find(word), std::string::npos) << outcome.error;
  // The server counts in whole seconds.
  EXPECT_TRUE(eventually(std::chrono::seconds(5), [&] { return attempt(options).status == TIDE_FATAL; }));

  std::filesystem::copy_file(operator_->file("next.creds"), file, std::filesystem::copy_options::overwrite_existing);
  expect_authorized(options);
}

TEST_F(Authentication, SaysWhatIsWrongWithACredentialsFile) {
  const TempDir dir;
  const std::string file = (dir / "empty.creds").string();
  std::ofstream(file) << "nothing of use\n";
  start("", "unused:unused");
  const auto outcome = attempt({{"credentials_file", file}});
  EXPECT_EQ(outcome.status, TIDE_FATAL);
  EXPECT_NE(outcome.error.find(file), std::string::npos) << outcome.error;
}

TEST_F(Authentication, RefusesTwoWaysAtOnce) {
  start(users("{nkey: " + nkey_public + "}"), "admin:admin");
  for (const Options& options : {Options{{"nkey_seed", nkey_seed}, {"token", "s3cr3t"}},
                                 Options{{"username", "admin"}, {"password", "admin"}, {"token", "s3cr3t"}},
                                 Options{{"url", with_user_info(*server, "admin:admin")}, {"token", "s3cr3t"}}}) {
    const auto outcome = attempt(options);
    EXPECT_EQ(outcome.status, TIDE_FATAL);
    EXPECT_NE(outcome.error.find("two ways"), std::string::npos) << outcome.error;
  }
}

TEST_F(Authentication, RefusesBrokenSecretsWithoutShowingThem) {
  start("", "unused:unused");
  for (const Options& options : {Options{{"nkey_seed", "SUs3cr3t"}}, Options{{"password", "s3cr3t"}},
                                 Options{{"url", "nats://u:s3cr3t,x@127.0.0.1:99999"}}}) {
    const auto outcome = attempt(options);
    EXPECT_EQ(outcome.status, TIDE_FATAL);
    EXPECT_EQ(outcome.error.find("s3cr3t"), std::string::npos) << outcome.error;
  }
}

TEST_F(Authentication, NamesACredentialsFileThatCannotBeRead) {
  start("", "unused:unused");
  const auto outcome = attempt({{"credentials_file", "/nonexistent/user.creds"}});
  EXPECT_EQ(outcome.status, TIDE_FATAL);
  EXPECT_NE(outcome.error.find("/nonexistent/user.creds"), std::string::npos) << outcome.error;
  EXPECT_NE(outcome.error.find("exists and is readable"), std::string::npos) << outcome.error;
}

TEST_F(Authentication, StopsWhenTheUserMayNotPublishToTheSubject) {
  start(users("{user: relay, password: x, permissions: {publish: ['$JS.API.>'], subscribe: ['_INBOX.>']}}"),
        "admin:admin");
  expect_violation({{"username", "relay"}, {"password", "x"}});
}

TEST_F(Authentication, StopsWhenTheUserMayNotSubscribeToItsInbox) {
  start(users("{user: relay, password: x, permissions: {subscribe: ['other.>']}}"), "admin:admin");
  expect_violation({{"username", "relay"}, {"password", "x"}});
}

TEST_F(Authentication, PublishesForAUserThatMayNotAskAboutStreams) {
  start(users("{user: relay, password: x, permissions: {publish: ['events.>'], subscribe: ['_INBOX.>']}}"),
        "admin:admin");
  expect_authorized({{"username", "relay"}, {"password", "x"}});
}

TEST_F(Authentication, NoticesAMissingRightToItsInboxAlsoWithoutTheRightToAskAboutStreams) {
  start(users("{user: relay, password: x, permissions: {publish: ['events.>'], subscribe: ['other.>']}}"),
        "admin:admin");
  const Instance sink(
      {{"url", server->url()}, {"subject", std::string("events.a")}, {"username", "relay"}, {"password", "x"}});
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  for (const auto* word : {"Authorization violation", "Subscription to \"_INBOX."})
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
}

TEST_F(Authentication, RefusesAtConnectAUserThatMayNotPublishAndSendsNothing) {
  start(users("{user: relay, password: x, permissions: {publish: ['$JS.API.>']}}, {user: good, password: x}"),
        "admin:admin");
  JetStream watcher(with_user_info(*server, "admin:admin"));
  auto events = watcher.subscribe("events.>");
  for (const auto* user : {"relay", "good"}) {
    const Instance sink(
        {{"url", server->url()}, {"subject", std::string("events.a")}, {"username", user}, {"password", "x"}});
    EXPECT_EQ(sink.connected().status, user == std::string("good") ? TIDE_OK : TIDE_FATAL) << sink.connected().error;
  }
  EXPECT_FALSE(events.next(std::chrono::milliseconds(200))) << "the check was delivered as a message";
  EXPECT_EQ(watcher.info("EVENTS").last_sequence, 0u);
}

}  // namespace
}  // namespace tide::test
