// The sink kafka against librdkafka's mock cluster, which fails as it is told.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <thread>

#include "mock_cluster.hpp"
#include "plugins/plugin_host.hpp"
#include "records.hpp"
#include "support/process.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

Event event(const std::string& id, const std::string& payload = "{}") {
  Event event;
  event.subject = "orders";
  event.key = id;
  event.payload = payload;
  return event;
}
// Numbered from 1, under so many keys in turn.
std::vector<Event> events(int count, int keys = 4) {
  std::vector<Event> all;
  for (int n = 1; n <= count; ++n) {
    all.push_back(event("e" + std::to_string(n), std::to_string(n)));
    all.back().order = "k" + std::to_string(n % keys);
  }
  return all;
}

// Batches of ten, one request at a time: what would stand behind a request that fails must not reach the mock, which
// would store it.
const std::string kOneAtATime = R"({"max.in.flight.requests.per.connection": 1, "batch.num.messages": 10})";

class Kafka : public ::testing::Test {
 protected:
  void SetUp() override { cluster_.create_topic("orders", kPartitions); }

  [[nodiscard]] Options options(Options more = {}) const {
    more.try_emplace("brokers", cluster_.brokers());
    more.try_emplace("topic", "orders");
    return more;
  }
  [[nodiscard]] Options keyed(Options more = {}) const {
    more.try_emplace("key", std::string("\x1a"));
    return options(std::move(more));
  }
  std::vector<Record> records(const std::string& topic = "orders", int partitions = kPartitions) const {
    return Reader(cluster_.brokers(), topic, partitions).read();
  }
  static std::map<std::string, std::vector<int>> by_key(const std::vector<Record>& records) {
    std::map<std::string, std::vector<int>> values;
    for (const auto& record : records) values[record.key.value_or("")].push_back(std::stoi(record.value));
    return values;
  }
  // Everything once, and in order for each key.
  static void expect_whole(const std::vector<Record>& records, std::size_t count) {
    EXPECT_EQ(records.size(), count);
    for (const auto& [key, values] : by_key(records)) {
      EXPECT_TRUE(std::is_sorted(values.begin(), values.end())) << "out of order: " << key;
      EXPECT_EQ(std::adjacent_find(values.begin(), values.end()), values.end()) << "twice: " << key;
    }
  }
  // As the relay does it: what is to be sent again goes first, once all that was sent has its result. From then on,
  // the mock fails no more.
  void deliver_as_the_relay_does(Instance& sink, const std::vector<Event>& all, std::size_t expect_retries) {
    std::vector<std::size_t> waiting(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) waiting[i] = i;
    std::map<std::uint64_t, std::size_t> in_flight;  // by token
    std::vector<std::size_t> again;
    std::uint64_t token = 0;
    std::size_t retries = 0;
    const auto until = Clock::now() + seconds(60);
    while (!waiting.empty() || !in_flight.empty() || !again.empty()) {
      ASSERT_LT(Clock::now(), until) << "it stands still";
      if (again.empty() && !waiting.empty()) {
        std::vector<Event> batch;
        for (std::size_t i = 0; i < std::min<std::size_t>(waiting.size(), 100); ++i) batch.push_back(all[waiting[i]]);
        const auto taken = sink.publish(batch);
        ASSERT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
        for (std::size_t i = 0; i < taken; ++i) in_flight[++token] = waiting[i];
        waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(taken));
      }
      for (const auto& [number, result] : sink.ack(milliseconds(50))) {
        ASSERT_TRUE(in_flight.contains(number)) << "a result for what is not in flight";
        if (result.status == TIDE_RETRY) {
          again.push_back(in_flight[number]);
          ++retries;
        } else {
          EXPECT_EQ(result.status, TIDE_STORED) << result.error;
        }
        in_flight.erase(number);
      }
      ASSERT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
      if (again.empty() || !in_flight.empty()) continue;
      cluster_.fail_no_more(MockCluster::kProduce);
      std::sort(again.begin(), again.end());
      waiting.insert(waiting.begin(), again.begin(), again.end());
      again.clear();
    }
    EXPECT_GE(retries, expect_retries);
  }

  static constexpr int kPartitions = 3;
  MockCluster cluster_;
};

// --- what arrives

TEST_F(Kafka, ARecordHoldsThePayloadItsKeyAndHeaders) {
  Instance sink(options());
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  auto one = event("order-1", R"({"a": "ä"})");
  one.headers = {{"Trace", "t-7"}, {"empty", ""}, {"Content-Type", "text/x"}};
  ASSERT_EQ(sink.deliver({one})[0].status, TIDE_STORED);
  const auto got = records().at(0);
  EXPECT_EQ(got.value, R"({"a": "ä"})");
  EXPECT_EQ(got.key, "order-1") << "by default the event's";
  const std::vector<std::pair<std::string, std::string>> expected{
      {"Trace", "t-7"}, {"empty", ""}, {"content-type", "text/x"}, {"event-id", "order-1"}};
  EXPECT_EQ(got.headers, expected);
}

TEST_F(Kafka, TheKeyOptionChoosesThePartitionAsJavaDoes) {
  Instance sink(keyed());
  auto all = events(3, 3);
  all[0].order = "21";  // whose hashes Java's clients know
  all[1].order = "foobar";
  all[2].order = "";
  for (const auto& result : sink.deliver(all)) EXPECT_EQ(result.status, TIDE_STORED) << result.error;
  for (const auto& record : records()) {
    if (record.value == "3") {
      EXPECT_EQ(record.key, std::nullopt) << "an empty one is none";
    } else {
      const auto hash = record.value == "1" ? -973932308 : -790332482;
      EXPECT_EQ(record.partition, (hash & 0x7fffffff) % kPartitions) << *record.key;
    }
  }
}

TEST_F(Kafka, ManyArriveOnceAndInTheOrderOfTheirKeys) {
  Instance sink(keyed({{"compression", "lz4"}}));
  for (const auto& result : sink.deliver(events(20'000, 50))) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  expect_whole(records(), 20'000);
}

TEST_F(Kafka, ACloudEventHasTheFormOfItsKafkaBinding) {
  Instance sink(options());
  auto one = event("id-1");
  one.headers = {{"ce-specversion", "1.0"}, {"ce-subject", "a%20b%"}, {"ce-datacontenttype", "application/json"}};
  auto other = event("id-2");
  other.headers = {{"ce-odd", "a%20b"}};
  for (const auto& result : sink.deliver({one, other})) ASSERT_EQ(result.status, TIDE_STORED);
  for (const auto& record : records()) {
    if (record.key == "id-1") {
      EXPECT_EQ(record.header("ce_specversion"), "1.0");
      EXPECT_EQ(record.header("ce_subject"), "a b%");
      EXPECT_EQ(record.header("content-type"), "application/json");
    } else {
      EXPECT_EQ(record.header("ce-odd"), "a%20b");
    }
  }
}

// --- what is refused

TEST_F(Kafka, RejectsWhatNoRecordCanBeAndTheRestFlowsOn) {
  Instance sink(options({{"topic", "\x1a"}, {"max_message_bytes", 2000L}}));
  std::vector<Event> all(5, event("x"));
  for (std::size_t i = 0; i < all.size(); ++i) all[i].key = "e" + std::to_string(i);
  all[0].headers = {{"Event-Id", "forged"}};
  all[1].subject = "no topic";
  all[2].subject = "";
  all[3].payload = std::string(3000, 'x');
  const auto results = sink.deliver(all);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(results[i].status, TIDE_REJECTED) << i << results[i].error;
  EXPECT_NE(results[0].error.find("the relay sets it itself"), std::string::npos) << results[0].error;
  EXPECT_NE(results[1].error.find("is no topic's name"), std::string::npos) << results[1].error;
  EXPECT_NE(results[3].error.find("MSG_SIZE_TOO_LARGE). Raise"), std::string::npos) << results[3].error;
  EXPECT_EQ(results[4].status, TIDE_STORED);
  EXPECT_EQ(records().size(), 1u);
}

// A broker refuses a batch, which says little about each record in it.
TEST_F(Kafka, OfABatchThatIsRefusedOnlyTheBadRecordIsRejected) {
  Instance sink(keyed({{"linger_ms", 200L}}));
  auto all = events(6, 1);
  ASSERT_EQ(sink.deliver({all[0]})[0].status, TIDE_STORED);
  // First the batch of five, then, one by one, the third of them.
  cluster_.fail(MockCluster::kProduce, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_NO_ERROR,
                                        RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  const std::vector<Event> five(all.begin() + 1, all.end());
  const auto first = sink.deliver(five);
  for (const auto& result : first) EXPECT_EQ(result.status, TIDE_RETRY) << result.error;
  const auto second = sink.deliver(five);
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_EQ(second[i].status, i == 2 ? TIDE_REJECTED : TIDE_STORED) << i << second[i].error;
  EXPECT_NE(sink.log().find("The 5 records of the batch that was refused are sent one by one"), std::string::npos)
      << sink.log();
  EXPECT_EQ(by_key(records())["k0"], (std::vector<int>{1, 2, 3, 5, 6}));
}

TEST_F(Kafka, AForbiddenTopicStopsThePipelineOrRejectsWhoseTopicItIs) {
  {
    Instance sink(options());
    cluster_.fail(MockCluster::kProduce, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
    const auto result = sink.deliver({event("e1")})[0];
    EXPECT_EQ(result.status, TIDE_FATAL);
    EXPECT_NE(result.error.find("Grant the user the operations Write"), std::string::npos) << result.error;
  }
  Instance sink(options({{"topic", "\x1a"}}));
  cluster_.fail(MockCluster::kProduce, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  EXPECT_EQ(sink.deliver({event("e1")})[0].status, TIDE_REJECTED);
  cluster_.create_topic("others", 1);
  auto other = event("e2");
  other.subject = "others";
  EXPECT_EQ(sink.deliver({other})[0].status, TIDE_STORED);
}

TEST_F(Kafka, ATopicThatIsNotThereStopsThePipelineOrRejectsWhoseTopicItIs) {
  cluster_.topic_error("gone", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  Instance fixed(options({{"topic", "gone"}}));
  EXPECT_EQ(fixed.connected().status, TIDE_FATAL);
  EXPECT_NE(fixed.connected().error.find("Create the topic (kafka-topics.sh --create"), std::string::npos)
      << fixed.connected().error;
  Instance sink(options({{"topic", "\x1a"}, {"delivery_timeout_ms", 6000L}}));
  auto lost = event("e1");
  lost.subject = "gone";
  const auto results = sink.deliver({lost, event("e2")});
  EXPECT_EQ(results[0].status, TIDE_REJECTED) << results[0].error << sink.outcome().error;
  EXPECT_EQ(results[1].status, TIDE_STORED);
}

// --- order, and what is sent again

TEST_F(Kafka, WhatTheBrokerCannotTakeNowIsRetriedUnderTheHood) {
  Instance sink(keyed({{"linger_ms", 1L}, {"properties", kOneAtATime}}));
  cluster_.fail(MockCluster::kProduce,
                {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                 RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE});
  for (const auto& result : sink.deliver(events(500))) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  expect_whole(records(), 500);
}

// The producer can't go on without a gap or a copy: another one does, and the relay sends what was not stored. The
// request behind the one that fails is made by then, and sent now and then: Kafka refuses it for the gap before it.
TEST_F(Kafka, AProducerThatLostItsSequenceIsReplacedWithoutLossOrDisorder) {
  cluster_.answer_after(20);
  for (const auto error : {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
                           RD_KAFKA_RESP_ERR_UNKNOWN}) {
    const auto topic = "t-" + std::to_string(error);
    cluster_.create_topic(topic, 1);
    Instance sink(keyed({{"topic", topic}, {"linger_ms", 0L}, {"properties", kOneAtATime}}));
    ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
    auto all = events(300);
    for (auto& one : all) one.subject = topic;
    cluster_.fail(MockCluster::kProduce, {RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_NO_ERROR, error,
                                          RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
    deliver_as_the_relay_does(sink, all, 1);
    EXPECT_NE(sink.log().find("going on with a new producer"), std::string::npos) << sink.log();
    expect_whole(records(topic, 1), all.size());
  }
}

// librdkafka then calls the first one delivered. A broker that does not know the producer yet takes the second as its
// first, as the mock does.
TEST_F(Kafka, ARecordIsNotStoredBecauseALaterOneIs) {
  bool arose = false;
  for (int i = 0; i < 10 && !arose; ++i) {  // the second must be on its way before the first one's answer comes
    const auto topic = "one-" + std::to_string(i);
    cluster_.create_topic(topic, 1);
    cluster_.answer_after(0);
    Instance sink(keyed({{"topic", topic}, {"linger_ms", 0L}}));
    std::this_thread::sleep_for(milliseconds(300));  // it gets its producer id
    cluster_.answer_after(200);
    cluster_.fail(MockCluster::kProduce, {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
    auto all = events(2, 1);
    for (auto& one : all) one.subject = topic;
    ASSERT_EQ(sink.publish({all[0]}), 1u);
    std::this_thread::sleep_for(milliseconds(100));
    ASSERT_EQ(sink.publish({all[1]}), 1u);
    std::map<std::uint64_t, std::int32_t> status;
    ASSERT_TRUE(eventually(seconds(20), [&] {
      for (const auto& [token, result] : sink.ack(milliseconds(100))) status[token] = result.status;
      return status.size() == 2;
    }));
    const auto stored = records(topic, 1);
    for (const auto& [token, what] : status) {
      const auto value = std::to_string(token);
      const bool there = std::any_of(stored.begin(), stored.end(), [&](const auto& r) { return r.value == value; });
      EXPECT_EQ(what, there ? TIDE_STORED : TIDE_RETRY) << "event " << value;
      arose = arose || !there;
    }
  }
  EXPECT_TRUE(arose);
}

TEST_F(Kafka, ABrokerIsFoundByItsName) {
  auto name = cluster_.brokers();
  name.replace(0, name.find(':'), "localhost");
  Instance sink(options({{"brokers", name}}));
  EXPECT_EQ(sink.deliver({event("e1")})[0].status, TIDE_STORED) << sink.connected().error;
  Instance nowhere(options({{"brokers", std::string("broker.invalid:9092")}}));
  EXPECT_EQ(nowhere.connected().status, TIDE_RETRY);
  EXPECT_NE(nowhere.connected().error.find("broker.invalid"), std::string::npos) << nowhere.connected().error;
}

TEST_F(Kafka, NothingIsTakenUntilTheRelayKnowsWhatIsToBeSentAgain) {
  Instance sink(keyed({{"linger_ms", 0L}}));
  cluster_.fail(MockCluster::kProduce, {RD_KAFKA_RESP_ERR_UNKNOWN});
  ASSERT_EQ(sink.publish({events(1)[0]}), 1u);
  ASSERT_TRUE(eventually(seconds(20), [&] { return sink.publish({event("e2")}) == 0; }));
  bool told = false;
  EXPECT_TRUE(eventually(seconds(20), [&] {
    for (const auto& [token, result] : sink.ack(milliseconds(100))) told = told || result.status == TIDE_RETRY;
    return told;
  }));
}

TEST_F(Kafka, AConnectionThatBreaksIsMadeAnewAndNothingIsDoubled) {
  Instance sink(keyed({{"properties", kOneAtATime}}));
  cluster_.fail(MockCluster::kProduce, {RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_NO_ERROR,
                                        RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TRANSPORT});
  for (const auto& result : sink.deliver(events(500))) ASSERT_EQ(result.status, TIDE_STORED) << result.error;
  EXPECT_EQ(sink.outcome().status, TIDE_OK) << sink.outcome().error;
  expect_whole(records(), 500);
}

TEST_F(Kafka, ABrokerThatStaysAwayIsAnOutage) {
  Instance sink(options({{"delivery_timeout_ms", 1000L}}));
  cluster_.down();
  ASSERT_EQ(sink.publish({event("e1")}), 1u);
  ASSERT_TRUE(eventually(seconds(20), [&] {
    EXPECT_TRUE(sink.ack(milliseconds(100)).empty());
    return sink.outcome().status != TIDE_OK;
  }));
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  EXPECT_NE(sink.outcome().error.find("did not acknowledge the oldest of 1 records in 1000 ms: "), std::string::npos)
      << sink.outcome().error;
  const auto begin = Clock::now();
  sink.close();
  EXPECT_LT(Clock::now() - begin, seconds(5));
}

TEST_F(Kafka, TakesNoMoreThanItMayHoldAndGoesOnWhenThatIsStored) {
  Instance sink(options());
  cluster_.answer_after(2000);
  const auto all = events(15'000);
  const auto taken = sink.publish(all);
  EXPECT_EQ(taken, 10'000u);
  EXPECT_EQ(sink.publish({all.begin() + 10'000, all.end()}), 0u);
  std::size_t stored = 0;
  ASSERT_TRUE(eventually(seconds(30), [&] {
    stored += sink.ack(milliseconds(100)).size();
    return stored == taken;
  }));
  EXPECT_EQ(sink.publish({all.begin() + 10'000, all.end()}), 5'000u);
}

TEST_F(Kafka, ClosesInTimeWithMessagesInFlight) {
  Instance sink(options());
  cluster_.answer_after(20'000);
  ASSERT_GT(sink.publish(events(5000)), 0u);
  sink.ack(milliseconds(100));
  const auto begin = Clock::now();
  sink.close();
  EXPECT_LT(Clock::now() - begin, seconds(5));
}

// --- connecting

TEST_F(Kafka, AConfigurationThatCannotWorkIsRefused) {
  for (const auto& [wrong, text] : std::vector<std::pair<Options, std::string>>{
           {{{"brokers", "kafka:"}}, "'kafka:' is no broker"},
           {{{"brokers", "a:1,,b:2"}}, "'' is no broker"},
           {{{"brokers", "u:secret@a:1"}}, "one holds an '@': write host:port, and name the user in username"},
           {{{"brokers", "http://kafka:9092"}}, "'HTTP://' is none of PLAINTEXT://"},
           {{{"brokers", "SSL://a:1,b:1"}}, "all of them must be reached in one way"},
           {{{"brokers", "SASL_SSL://a:1"}}, "set username and password for SASL"},
           {{{"brokers", "PLAINTEXT://a:1"}, {"tls_enabled", true}}, "come to SSL"},
           {{{"topic", "a b"}}, "'a b' is no topic's name"},
           {{{"username", "u"}}, "username and password belong together"},
           {{{"tls_client_key", "/dev/null"}}, "tls_client_cert and tls_client_key belong together"},
           {{{"tls_ca_cert", "/nowhere"}}, "cannot read tls_ca_cert '/nowhere'"},
           {{{"tls_ca_cert", "/dev/null"}}, "librdkafka does not take the configuration: "},
           {{{"properties", "[]"}}, "properties must be an object"},
           {{{"properties", R"({"plugin.library.paths": "/tmp/x.so"})"}}, "'plugin.library.paths' can't be set there"},
           {{{"properties", R"({"acks": "1"})"}}, "'acks' can't be set there"},
           {{{"properties", R"({"socket.timeout.ms": "x"})"}},
            "librdkafka does not take its property socket.timeout.ms"},
       }) {
    Instance sink(options(wrong));
    EXPECT_EQ(sink.connected().status, TIDE_FATAL) << text;
    EXPECT_NE(sink.connected().error.find(text), std::string::npos) << sink.connected().error;
  }
}

TEST_F(Kafka, NobodyThereIsAnOutageThatSaysWhatToCheck) {
  const auto begin = Clock::now();
  Instance sink(options({{"brokers", "127.0.0.1:" + std::to_string(free_port())}}), milliseconds(3000));
  EXPECT_LT(Clock::now() - begin, seconds(3));
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_NE(sink.connected().error.find("Connection refused"), std::string::npos) << sink.connected().error;
  EXPECT_NE(sink.connected().error.find("Check `brokers`"), std::string::npos) << sink.connected().error;
}

TEST_F(Kafka, AUserWithoutTheRightToProduceIdempotentlyIsTold) {
  cluster_.fail(MockCluster::kInitProducerId, {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED});
  Instance sink(options());
  auto told = sink.connected();  // where that took long, it was heard already
  if (told.status == TIDE_OK) {
    ASSERT_TRUE(eventually(seconds(20), [&] {
      sink.ack(milliseconds(50));
      return sink.outcome().status != TIDE_OK;
    }));
    told = sink.outcome();
  }
  EXPECT_EQ(told.status, TIDE_FATAL);
  EXPECT_NE(told.error.find("IdempotentWrite"), std::string::npos) << told.error;
}

TEST_F(Kafka, PassesTheConformanceKit) {
  const TempDir dir;
  std::ofstream(dir / "sink.json") << R"({"sink_type": "kafka", "topic": "orders", "key": "{payload.k|}", "brokers": ")"
                                   << cluster_.brokers() << ',' << cluster_.brokers() << "\"}";
  const auto result = run({variable("TIDE_RELAY"), "plugins", "test", variable("TIDE_TEST_PLUGIN"), "--sink-config",
                           (dir / "sink.json").string()},
                          {}, {}, seconds(300));
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_NE(result.out.find(" passed, 0 failed, 0 skipped"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace tide::test
