// What Kafka holds after the relay was killed again and again, while leaders moved, and brokers were slow or died.
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "fault/kill_audit.hpp"
#include "mock_cluster.hpp"
#include "real_broker.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

constexpr int kPartitions = 16;  // the mock keeps 5 MiB of each
constexpr int kBrokers = 3;
constexpr auto kTopic = "audit";

class KafkaAudit : public KillAudit {
 protected:
  // Of one partition the records are in their order, and a key has one partition.
  std::vector<Message> arrived() override {
    if (outages_.joinable()) {
      outages_.request_stop();
      outages_.join();  // and with it ends what it started
      if (after_outages_) after_outages_();
    }
    std::vector<Message> messages;
    for (const auto& record : Reader(brokers_, topic_, kPartitions).read()) {
      auto& message = messages.emplace_back();
      message.sequence = messages.size();
      message.payload = record.value;
    }
    return messages;
  }
  void set_up(const std::string& brokers, const std::string& topic, const std::string& more = {}) {
    brokers_ = brokers;
    topic_ = topic;
    set_up_sink(R"({"sink_type": "kafka", "brokers": ")" + brokers + R"(", "topic": ")" + topic +
                    R"(", "key": "{payload.k}", "compression": "lz4", "retry": {"initial_ms": 5, "max_ms": 50})" +
                    more + "}",
                R"({"event-id": "forged"})");
  }
  // While the audit goes on.
  template <class Outage>
  void now_and_then(Outage outage) {
    outages_ = std::jthread([outage](const std::stop_token& stop) mutable {
      std::mutex mutex;
      std::condition_variable_any wake;
      std::unique_lock lock(mutex);
      while (!wake.wait_for(lock, stop, milliseconds(1000), [] { return false; }) && !stop.stop_requested()) outage();
    });
  }

  std::string brokers_;
  std::string topic_;
  std::function<void()> after_outages_;
  std::jthread outages_;
};

TEST_F(KafkaAudit, SlowBrokersAndAKilledRelayLoseNothingAndKeepTheOrderOfEachKey) {
  MockCluster cluster(kBrokers);
  cluster.create_topic(kTopic, kPartitions);
  set_up(cluster.brokers(), kTopic, R"(, "delivery_timeout_ms": 1000)");
  int outages = 0;
  now_and_then([&cluster, outages]() mutable {
    const int broker = ++outages % kBrokers + 1;
    cluster.answer_after(outages % 2 == 0 ? 200 : 1500, broker);  // within a record's time, and beyond it
    std::this_thread::sleep_for(milliseconds(500));
    cluster.answer_after(0, broker);
  });
  audit(Guarantee::at_least_once);
}

// The mock stores a request that stands behind one it refused: no order can be told from it.
TEST_F(KafkaAudit, LeadersThatMoveAndAKilledRelayLoseNothing) {
  MockCluster cluster(kBrokers);
  cluster.create_topic(kTopic, kPartitions);
  set_up(cluster.brokers(), kTopic);
  now_and_then([&cluster, moves = 0]() mutable {
    ++moves;
    for (int p = moves % 2; p < kPartitions; p += 2) cluster.lead(kTopic, p, moves % kBrokers + 1);
  });
  audit(Guarantee::at_least_once_in_any_order);
}

TEST_F(KafkaAudit, ARealBrokerHoldsEachEventInTheOrderOfItsKey) {
  const auto brokers = real_broker();
  if (brokers.empty()) GTEST_SKIP() << "neither TIDE_TEST_KAFKA nor TIDE_TEST_KAFKA_HOME is set";
  const auto topic = "tide-audit-" + std::to_string(::getpid());
  create_topic(brokers, topic, kPartitions);
  set_up(brokers, topic);
  audit(Guarantee::at_least_once);
}

TEST_F(KafkaAudit, ABrokerThatIsKilledAsWellLosesNothing) {
  if (own_broker() == nullptr) GTEST_SKIP() << "TIDE_TEST_KAFKA_HOME is not set";
  create_topic(own_broker()->address(), kTopic, kPartitions);
  set_up(own_broker()->address(), kTopic);
  now_and_then([] {
    std::this_thread::sleep_for(seconds(5));
    own_broker()->kill();
    own_broker()->start();
  });
  after_outages_ = [] {
    own_broker()->kill();
    own_broker()->start();
  };
  audit(Guarantee::at_least_once);
}

}  // namespace
}  // namespace tide::test
