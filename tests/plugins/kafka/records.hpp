// What a Kafka topic holds, read from its beginning, and the making of topics. One thread.
#pragma once

#include <librdkafka/rdkafka.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tide::test {

struct Record {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::optional<std::string> key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers;

  [[nodiscard]] std::string header(const std::string& name) const {
    for (const auto& [header, text] : headers)
      if (header == name) return text;
    return "(none)";
  }
};

using Client = std::unique_ptr<rd_kafka_t, void (*)(rd_kafka_t*)>;

inline Client make_client(rd_kafka_type_t type, const std::vector<std::pair<std::string, std::string>>& properties) {
  std::array<char, 512> why{};
  auto* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties)
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why.data(), why.size()) != RD_KAFKA_CONF_OK)
      throw std::runtime_error(why.data());
  Client client(rd_kafka_new(type, conf, why.data(), why.size()), rd_kafka_destroy);
  if (!client) throw std::runtime_error(why.data());
  return client;
}

// Reads on from where it was. Of one partition, the records come in their order.
class Reader {
 public:
  Reader(const std::string& brokers, const std::string& topic, int partitions)
      : topic_(topic), next_(static_cast<std::size_t>(partitions)) {
    client_ = make_client(RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers},
                                              {"group.id", "reader"},
                                              {"auto.offset.reset", "earliest"},
                                              {"enable.auto.commit", "false"},
                                              {"fetch.wait.max.ms", "20"},
                                              {"log_level", "0"}});
    rd_kafka_poll_set_consumer(client_.get());
    auto* all = rd_kafka_topic_partition_list_new(partitions);
    for (int p = 0; p < partitions; ++p)
      rd_kafka_topic_partition_list_add(all, topic.c_str(), p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(client_.get(), all);
    rd_kafka_topic_partition_list_destroy(all);
  }
  ~Reader() { rd_kafka_consumer_close(client_.get()); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // All that stands in the topic by now.
  const std::vector<Record>& read() {
    for (std::int32_t partition = 0; partition < static_cast<std::int32_t>(next_.size()); ++partition) {
      std::int64_t begin = 0;
      std::int64_t end = 0;
      if (rd_kafka_query_watermark_offsets(client_.get(), topic_.c_str(), partition, &begin, &end, 20'000) !=
          RD_KAFKA_RESP_ERR_NO_ERROR)
        throw std::runtime_error("the end of " + topic_ + " can't be asked for");
      while (next_[static_cast<std::size_t>(partition)] < end) take(20'000);
    }
    return records_;
  }

 private:
  void take(int timeout_ms) {
    const std::unique_ptr<rd_kafka_message_t, void (*)(rd_kafka_message_t*)> message(
        rd_kafka_consumer_poll(client_.get(), timeout_ms), rd_kafka_message_destroy);
    if (!message) throw std::runtime_error(topic_ + " can't be read");
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) add(*message);
  }

  void add(const rd_kafka_message_t& message) {
    next_.at(static_cast<std::size_t>(message.partition)) = message.offset + 1;
    auto& record = records_.emplace_back();
    record.partition = message.partition;
    record.offset = message.offset;
    if (message.key != nullptr) record.key.emplace(static_cast<const char*>(message.key), message.key_len);
    record.value.assign(static_cast<const char*>(message.payload), message.len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
      record.headers.emplace_back(name, std::string(static_cast<const char*>(value), size));
  }

  Client client_{nullptr, rd_kafka_destroy};
  std::string topic_;
  std::vector<std::int64_t> next_;  // offset, of each partition
  std::vector<Record> records_;
};

}  // namespace tide::test
