// librdkafka's mock of a Kafka cluster, in this process: it speaks the protocol, and fails as it is told. Unlike Kafka
// it does not look at a producer's sequence: it stores what follows a request that it failed, and a request that comes
// again. Any thread.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tide::test {

class MockCluster {
 public:
  // Of the protocol's requests.
  static constexpr std::int16_t kProduce = 0;
  static constexpr std::int16_t kMetadata = 3;
  static constexpr std::int16_t kInitProducerId = 22;

  explicit MockCluster(int brokers = 1) {
    std::array<char, 512> why{};
    auto* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", why.data(), why.size());
    client_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size()));
    if (!client_) throw std::runtime_error(why.data());
    cluster_.reset(rd_kafka_mock_cluster_new(client_.get(), brokers));
    if (!cluster_) throw std::runtime_error("no mock cluster");
  }

  [[nodiscard]] std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_.get()); }
  void create_topic(const std::string& name, int partitions) {
    check(rd_kafka_mock_topic_create(cluster_.get(), name.c_str(), partitions, 1));
  }
  // What the next metadata says of the topic.
  void topic_error(const std::string& name, rd_kafka_resp_err_t error) {
    rd_kafka_mock_topic_set_error(cluster_.get(), name.c_str(), error);
  }
  // The next requests of the kind are answered so, and not carried out; with RD_KAFKA_RESP_ERR__TRANSPORT, by the
  // connection's end.
  void fail(std::int16_t request, const std::vector<rd_kafka_resp_err_t>& errors) {
    rd_kafka_mock_push_request_errors_array(cluster_.get(), request, errors.size(), errors.data());
  }
  void fail_no_more(std::int16_t request) { rd_kafka_mock_clear_request_errors(cluster_.get(), request); }
  // For good: its port may be another's when it is to come back.
  void down(int broker = 1) { check(rd_kafka_mock_broker_set_down(cluster_.get(), broker)); }
  void answer_after(int time_ms, int broker = 1) {
    check(rd_kafka_mock_broker_set_rtt(cluster_.get(), broker, time_ms));
  }
  void lead(const std::string& topic, int partition, int broker) {
    check(rd_kafka_mock_partition_set_leader(cluster_.get(), topic.c_str(), partition, broker));
  }

 private:
  static void check(rd_kafka_resp_err_t error) {
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) throw std::runtime_error(rd_kafka_err2str(error));
  }

  std::unique_ptr<rd_kafka_t, void (*)(rd_kafka_t*)> client_{nullptr, rd_kafka_destroy};
  std::unique_ptr<rd_kafka_mock_cluster_t, void (*)(rd_kafka_mock_cluster_t*)> cluster_{nullptr,
                                                                                        rd_kafka_mock_cluster_destroy};
};

}  // namespace tide::test
