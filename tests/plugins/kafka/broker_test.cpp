// The sink kafka against a real Kafka, where the environment names one: see real_broker.hpp. Else these tests are
// skipped.
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "plugins/plugin_host.hpp"
#include "real_broker.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

class KafkaBroker : public ::testing::Test {
 protected:
  void SetUp() override {
    if (real_broker().empty()) GTEST_SKIP() << "neither TIDE_TEST_KAFKA nor TIDE_TEST_KAFKA_HOME is set";
  }
  // A topic of the test's own.
  void make_topic(const std::vector<std::pair<std::string, std::string>>& properties = {}, int partitions = 1) {
    static int number = 0;
    topic_ = "tide-test-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
    create_topic(real_broker(), topic_, partitions, properties);
    partitions_ = partitions;
  }
  [[nodiscard]] Options options(Options more = {}) const {
    more.try_emplace("brokers", real_broker());
    more.try_emplace("topic", topic_);
    more.try_emplace("key", std::string("\x1a"));
    return more;
  }
  [[nodiscard]] std::vector<Event> events(int count, std::size_t size = 0) const {
    std::vector<Event> all;
    for (int n = 1; n <= count; ++n) {
      auto& event = all.emplace_back();
      event.subject = topic_;
      event.key = "e" + std::to_string(n);
      event.order = "k";
      event.payload = std::to_string(n);
      if (event.payload.size() < size) event.payload += std::string(size - event.payload.size(), ' ');
    }
    return all;
  }
  [[nodiscard]] std::vector<int> numbers() const {
    std::vector<int> all;
    for (const auto& record : Reader(real_broker(), topic_, partitions_).read()) all.push_back(std::stoi(record.value));
    return all;
  }
  static std::vector<int> up_to(int count, int without = 0) {
    std::vector<int> all;
    for (int n = 1; n <= count; ++n)
      if (n != without) all.push_back(n);
    return all;
  }
  // As the relay does it: what is to be sent again, then. The last results.
  static std::vector<Result> deliver(Instance& sink, const std::vector<Event>& all, int* retried = nullptr) {
    std::vector<Result> results(all.size());
    std::vector<std::size_t> waiting;
    for (std::size_t i = 0; i < all.size(); ++i) waiting.push_back(i);
    while (!waiting.empty()) {
      std::vector<Event> batch;
      for (const auto i : waiting) batch.push_back(all[i]);
      const auto got = sink.deliver(batch);
      if (sink.outcome().status != TIDE_OK) ADD_FAILURE() << sink.outcome().error;
      std::vector<std::size_t> again;
      for (std::size_t i = 0; i < got.size(); ++i) {
        results[waiting[i]] = got[i];
        if (got[i].status == TIDE_RETRY) again.push_back(waiting[i]);
      }
      if (retried != nullptr) *retried += static_cast<int>(again.size());
      if (sink.outcome().status != TIDE_OK) break;
      waiting = again;
    }
    return results;
  }

  std::string topic_;
  int partitions_ = 1;
};

TEST_F(KafkaBroker, TakesRecordsWithKeysAndHeadersOnceAndInOrder) {
  for (const auto* compression : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    make_topic({}, 3);
    Instance sink(options({{"compression", compression}}));
    ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
    auto all = events(2000, 300);
    all[0].headers = {{"trace", "t"}};
    for (const auto& result : deliver(sink, all)) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
    EXPECT_EQ(numbers(), up_to(2000));
    const auto first = Reader(real_broker(), topic_, 3).read().at(0);
    EXPECT_EQ(first.key, "k");
    EXPECT_EQ(first.header("trace"), "t");
    EXPECT_EQ(first.header("event-id"), "e1");
  }
}

TEST_F(KafkaBroker, RejectsARecordThatIsTooLargeForTheTopicAndNothingElse) {
  make_topic({{"max.message.bytes", "5000"}});
  Instance sink(options());
  auto all = events(12, 100);
  all[6].payload = "7" + std::string(6000, ' ');
  const auto results = deliver(sink, all);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(results[i].status, i == 6 ? TIDE_REJECTED : TIDE_STORED) << i << results[i].error;
  EXPECT_EQ(numbers(), up_to(12, 7));
}

TEST_F(KafkaBroker, StoresRecordsWhoseBatchWasTooLargeForTheTopic) {
  make_topic({{"max.message.bytes", "5000"}});
  Instance sink(options());
  int retried = 0;
  for (const auto& result : deliver(sink, events(50, 1000), &retried))
    ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_GT(retried, 0) << "no batch was refused: the test proves nothing";
  EXPECT_EQ(numbers(), up_to(50));
  Instance fitting(options({{"max_message_bytes", 4500L}}));
  retried = 0;
  for (const auto& result : deliver(fitting, events(50, 1000), &retried)) ASSERT_EQ(result.status, TIDE_STORED);
  EXPECT_EQ(retried, 0);
}

TEST_F(KafkaBroker, ACompactedTopicTakesNoRecordWithoutAKey) {
  make_topic({{"cleanup.policy", "compact"}});
  Instance sink(options());
  auto all = events(5);
  all[2].order = "";
  const auto results = deliver(sink, all);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(results[i].status, i == 2 ? TIDE_REJECTED : TIDE_STORED) << i << results[i].error;
  EXPECT_EQ(numbers(), up_to(5, 3));
}

TEST_F(KafkaBroker, TellsOfATopicThatIsNotThere) {
  topic_ = "tide-test-none";
  Instance sink(options());
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_NE(sink.connected().error.find("UNKNOWN_TOPIC_OR_PART"), std::string::npos) << sink.connected().error;
}

TEST_F(KafkaBroker, PassesTheConformanceKit) {
  make_topic();
  const TempDir dir;
  std::ofstream(dir / "sink.json") << R"({"sink_type": "kafka", "topic": ")" << topic_ << R"(", "brokers": ")"
                                   << real_broker() << ',' << real_broker() << "\"}";
  const auto result = run({variable("TIDE_RELAY"), "plugins", "test", variable("TIDE_TEST_PLUGIN"), "--sink-config",
                           (dir / "sink.json").string()},
                          {}, {}, seconds(300));
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find(" passed, 0 failed, 0 skipped"), std::string::npos) << result.out;
}

// With a broker of the test's own.
class KafkaOwnBroker : public KafkaBroker {
 protected:
  void SetUp() override {
    if (own_broker() == nullptr) GTEST_SKIP() << "TIDE_TEST_KAFKA_HOME is not set";
    make_topic();
  }
  [[nodiscard]] static std::string address(const std::string& listener) { return own_broker()->address(listener); }
  [[nodiscard]] static std::string ca() { return own_broker()->certificates().ca(); }
  // By this listener, with these options.
  Outcome connect(const std::string& listener, Options more) {
    more["brokers"] = address(listener);
    Instance sink(options(std::move(more)), seconds(5));
    if (sink.connected().status == TIDE_OK) {
      EXPECT_EQ(sink.deliver(events(1))[0].status, TIDE_STORED) << sink.outcome().error;
    }
    return sink.connected();
  }
};

TEST_F(KafkaOwnBroker, KnowsAUserByPlainAndScram) {
  for (const auto* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    for (const std::string listener : {"SASL_PLAINTEXT", "SASL_SSL"}) {
      Options user{{"username", "relay"}, {"password", "relay-secret"}, {"sasl_mechanism", mechanism}};
      if (listener == "SASL_SSL") user["tls_ca_cert"] = ca();
      const auto right = connect(listener, user);
      EXPECT_EQ(right.status, TIDE_OK) << mechanism << right.error;
      user["password"] = "wrong-secret";
      const auto wrong = connect(listener, user);
      EXPECT_EQ(wrong.status, TIDE_FATAL) << mechanism;
      EXPECT_NE(wrong.error.find("Check username, password and sasl_mechanism"), std::string::npos) << wrong.error;
      EXPECT_EQ(wrong.error.find("wrong-secret"), std::string::npos) << "a secret in an error";
    }
  }
}

TEST_F(KafkaOwnBroker, SpeaksTlsWithAClientCertificate) {
  const auto& files = own_broker()->certificates();
  const Options client{
      {"tls_ca_cert", ca()}, {"tls_client_cert", files.certificate("client")}, {"tls_client_key", files.key("client")}};
  EXPECT_EQ(connect("SSL", client).status, TIDE_OK) << connect("SSL", client).error;
  const auto without = connect("SSL", {{"tls_ca_cert", ca()}});
  EXPECT_EQ(without.status, TIDE_FATAL) << without.error;
  EXPECT_NE(without.error.find("tls_client_cert"), std::string::npos) << without.error;
}

TEST_F(KafkaOwnBroker, RefusesABrokerThatNobodyVouchesFor) {
  const Options user{{"username", "relay"}, {"password", "relay-secret"}, {"tls_enabled", true}};
  const auto unknown = connect("SASL_SSL", user);
  EXPECT_EQ(unknown.status, TIDE_FATAL) << unknown.error;
  EXPECT_NE(unknown.error.find("Check the brokers' certificates"), std::string::npos) << unknown.error;
  auto trusting = user;
  trusting["tls_verify"] = false;
  EXPECT_EQ(connect("SASL_SSL", trusting).status, TIDE_OK);
}

TEST_F(KafkaOwnBroker, ATopicThatIsNotForTheUserStopsThePipelineOrRejectsWhoseTopicItIs) {
  const auto allowed = topic_;
  make_topic();
  const auto read_only = topic_;
  make_topic();
  allow(real_broker(), read_only, "other", RD_KAFKA_ACL_OPERATION_DESCRIBE);
  allow(real_broker(), topic_, "relay", RD_KAFKA_ACL_OPERATION_WRITE);
  Options other{{"username", "other"}, {"password", "other-secret"}, {"brokers", address("SASL_PLAINTEXT")}};
  {
    const Instance hidden(options(other));
    EXPECT_EQ(hidden.connected().status, TIDE_FATAL);
    EXPECT_NE(hidden.connected().error.find("TOPIC_AUTHORIZATION_FAILED). Grant the user"), std::string::npos)
        << hidden.connected().error;
  }
  auto all = events(3);
  all[0].subject = read_only;
  all[1].subject = topic_;
  all[2].subject = allowed;
  other["topic"] = read_only;
  Instance fixed(options(other));
  ASSERT_EQ(fixed.connected().status, TIDE_OK) << fixed.connected().error;
  EXPECT_EQ(fixed.deliver({all[0]})[0].status, TIDE_FATAL);
  other["topic"] = "\x1a";
  Instance sink(options(other));
  const auto results = deliver(sink, all);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(results[i].status, i == 2 ? TIDE_STORED : TIDE_REJECTED) << i << results[i].error;
}

TEST_F(KafkaOwnBroker, ATopicThatIsMadeAnewGoesOn) {
  Instance sink(options());
  ASSERT_EQ(deliver(sink, events(100))[99].status, TIDE_STORED);
  delete_topic(real_broker(), topic_);
  create_topic(real_broker(), topic_, 1);
  EXPECT_EQ(deliver(sink, events(100))[99].status, TIDE_STORED);
  EXPECT_EQ(numbers(), up_to(100));
}

TEST_F(KafkaOwnBroker, AListenerThatSpeaksAnotherProtocolIsNamed) {
  for (const auto& [listener, options] : std::vector<std::pair<std::string, Options>>{
           {"SASL_SSL", {}}, {"PLAINTEXT", {{"tls_ca_cert", ca()}}}, {"SASL_PLAINTEXT", {}}}) {
    const auto wrong = connect(listener, options);
    EXPECT_EQ(wrong.status, TIDE_RETRY) << listener << wrong.error;
    EXPECT_NE(wrong.error.find("these listeners speak what is configured"), std::string::npos) << wrong.error;
  }
}

TEST_F(KafkaOwnBroker, ABrokerThatIsKilledOrFrozenIsWaitedForAndNothingIsDoubled) {
  Instance sink(options({{"linger_ms", 0L}}));
  const auto all = events(6000, 100);
  std::size_t published = 0;
  std::size_t stored = 0;
  const auto go_on = [&](std::size_t count) {
    return eventually(seconds(100), [&] {
      const auto end = std::min(all.size(), published + 50);
      published += sink.publish(
          {all.begin() + static_cast<std::ptrdiff_t>(published), all.begin() + static_cast<std::ptrdiff_t>(end)});
      for (const auto& [token, result] : sink.ack(milliseconds(1))) {
        EXPECT_EQ(result.status, TIDE_STORED) << result.error;
        ++stored;
      }
      return sink.outcome().status != TIDE_OK || stored >= count;
    });
  };
  ASSERT_TRUE(go_on(1000));
  own_broker()->kill();
  sink.ack(milliseconds(100));
  own_broker()->start();
  ASSERT_TRUE(go_on(3000));
  own_broker()->freeze();
  std::this_thread::sleep_for(seconds(3));
  own_broker()->thaw();
  ASSERT_TRUE(go_on(all.size()));
  EXPECT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
  EXPECT_EQ(numbers(), up_to(6000));
}

}  // namespace
}  // namespace tide::test
