// Each way to authenticate, right and wrong, and what a user without rights is told.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "jwt_operator.hpp"
#include "known_nkey.hpp"
#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

const std::string secret = "s3cr3t:p@ss/word,%";
const std::string encoded_secret = "s3cr3t%3Ap%40ss%2Fword%2C%25";

std::string with_user_info(const NatsServer& server, const std::string& user_info) {
  return "nats://" + user_info + "@127.0.0.1:" + std::to_string(server.port());
}

// What was given and may stand in no error and no log: passwords, tokens and seeds, and what a credentials file holds.
// Of each the beginning, as a long text may be cut.
std::vector<std::string> secrets_of(const Options& options) {
  const auto text = [&](const std::string& option) {
    const auto found = options.find(option);
    return found == options.end() ? std::string() : std::get<std::string>(found->second);
  };
  std::vector<std::string> secrets{"s3cr3t", text("password"), text("token"), text("nkey_seed")};
  const std::string url = text("url");
  if (const auto at = url.rfind('@'); at != std::string::npos) {
    const auto begin = url.find("://") + 3;
    const std::string user_info = url.substr(begin, at - begin);
    secrets.push_back(user_info.substr(user_info.find(':') + 1));  // a user alone is a token
  }
  std::ifstream file(text("credentials_file"));
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("-----BEGIN ") && std::getline(file, line)) secrets.push_back(line);
  std::erase(secrets, "");
  for (auto& one : secrets) one.resize(std::min(one.size(), std::size_t{24}));
  return secrets;
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

  // Whatever comes of it, no secret is shown.
  Outcome attempt(Options options) const {
    options.emplace("url", server->url());
    options.emplace("subject", std::string("events.a"));
    Instance sink(options);
    const auto outcome = deliver_one(sink);
    for (const auto& given : secrets_of(options))
      for (const auto& text : {outcome.error, sink.log()})
        EXPECT_EQ(text.find(given), std::string::npos) << "it shows " << given << ": " << text;
    return outcome;
  }
  static Outcome deliver_one(Instance& sink) {
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
    operator_->make_stream(server->url(), {"events.>"});
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
  const TempDir dir;
  const std::string file = (dir / "user.creds").string();
  std::ofstream(file)
      << "-----BEGIN NATS USER JWT-----\neyJ0eXAiOiJKV1QifQ.e30.c2lnbmF0dXJl\n------END NATS USER JWT------\n\n"
         "-----BEGIN USER NKEY SEED-----\n"
      << nkey_seed << "\n------END USER NKEY SEED------\n";
  const std::string url = with_user_info(*server, "admin:admin");
  const auto expect_two_ways = [&](const Options& options, const std::string& named) {
    const auto outcome = attempt(options);
    EXPECT_EQ(outcome.status, TIDE_FATAL);
    EXPECT_NE(outcome.error.find("two ways to authenticate are configured, " + named), std::string::npos)
        << outcome.error;
  };
  expect_two_ways({{"nkey_seed", nkey_seed}, {"token", "s3cr3t"}}, "nkey_seed and token");
  expect_two_ways({{"username", "admin"}, {"password", "admin"}, {"token", "s3cr3t"}}, "token and username");
  expect_two_ways({{"url", url}, {"token", "s3cr3t"}}, "token and the user info in url");
  expect_two_ways({{"credentials_file", file}, {"nkey_seed", nkey_seed}}, "credentials_file and nkey_seed");
  expect_two_ways({{"credentials_file", file}, {"token", "s3cr3t"}}, "credentials_file and token");
  expect_two_ways({{"credentials_file", file}, {"username", "admin"}, {"password", "s3cr3t"}},
                  "credentials_file and username");
  expect_two_ways({{"credentials_file", file}, {"url", url}}, "credentials_file and the user info in url");
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
  start(users("{user: relay, password: s3cr3t, permissions: {publish: ['$JS.API.>'], subscribe: ['_INBOX.>']}}"),
        "admin:admin");
  expect_violation({{"username", "relay"}, {"password", "s3cr3t"}});
}

TEST_F(Authentication, StopsWhenTheUserMayNotSubscribeToItsInbox) {
  start(users("{user: relay, password: s3cr3t, permissions: {subscribe: ['other.>']}}"), "admin:admin");
  expect_violation({{"username", "relay"}, {"password", "s3cr3t"}});
}

TEST_F(Authentication, PublishesForAUserThatMayNotAskAboutStreams) {
  start(users("{user: relay, password: s3cr3t, permissions: {publish: ['events.>'], subscribe: ['_INBOX.>']}}"),
        "admin:admin");
  expect_authorized({{"username", "relay"}, {"password", "s3cr3t"}});
}

TEST_F(Authentication, NoticesAMissingRightToItsInboxAlsoWithoutTheRightToAskAboutStreams) {
  start(users("{user: relay, password: s3cr3t, permissions: {publish: ['events.>'], subscribe: ['other.>']}}"),
        "admin:admin");
  const Instance sink(
      {{"url", server->url()}, {"subject", std::string("events.a")}, {"username", "relay"}, {"password", "s3cr3t"}});
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  for (const auto* word : {"Authorization violation", "Subscription to \"_INBOX."})
    EXPECT_NE(sink.connected().error.find(word), std::string::npos) << sink.connected().error;
}

TEST_F(Authentication, RefusesAtConnectAUserThatMayNotPublishAndSendsNothing) {
  start(users("{user: relay, password: s3cr3t, permissions: {publish: ['$JS.API.>']}}, {user: good, password: s3cr3t}"),
        "admin:admin");
  JetStream watcher(with_user_info(*server, "admin:admin"));
  auto events = watcher.subscribe("events.>");
  for (const auto* user : {"relay", "good"}) {
    const Instance sink(
        {{"url", server->url()}, {"subject", std::string("events.a")}, {"username", user}, {"password", "s3cr3t"}});
    EXPECT_EQ(sink.connected().status, user == std::string("good") ? TIDE_OK : TIDE_FATAL) << sink.connected().error;
  }
  EXPECT_FALSE(events.next(std::chrono::milliseconds(200))) << "the check was delivered as a message";
  EXPECT_EQ(watcher.info("EVENTS").last_sequence, 0u);
}

}  // namespace
}  // namespace tide::test
