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

// Makes a topic, with its properties, on one that takes such requests.
inline void create_topic(const std::string& brokers, const std::string& name, int partitions,
                         const std::vector<std::pair<std::string, std::string>>& properties = {}) {
  const auto client = make_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers}});
  std::array<char, 512> why{};
  auto* topic = rd_kafka_NewTopic_new(name.c_str(), partitions, 1, why.data(), why.size());
  for (const auto& [key, value] : properties) rd_kafka_NewTopic_set_config(topic, key.c_str(), value.c_str());
  auto* queue = rd_kafka_queue_new(client.get());
  rd_kafka_CreateTopics(client.get(), &topic, 1, nullptr, queue);
  auto* event = rd_kafka_queue_poll(queue, 30'000);
  std::string error = event == nullptr ? "no answer" : "";
  if (event != nullptr && rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
    error = rd_kafka_event_error_string(event);
  std::size_t count = 0;
  if (const auto* result = rd_kafka_event_CreateTopics_result(event); error.empty() && result != nullptr) {
    const auto* const* made = rd_kafka_CreateTopics_result_topics(result, &count);
    if (count == 1 && rd_kafka_topic_result_error(made[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
      error = rd_kafka_err2str(rd_kafka_topic_result_error(made[0]));
  }
  if (event != nullptr) rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(topic);
  if (!error.empty()) throw std::runtime_error("can not make the topic " + name + ": " + error);
  // Each broker learns of it in its own time.
  const std::unique_ptr<rd_kafka_topic_t, void (*)(rd_kafka_topic_t*)> made(
      rd_kafka_topic_new(client.get(), name.c_str(), nullptr), rd_kafka_topic_destroy);
  for (bool known = false; !known;) {
    const rd_kafka_metadata_t* metadata = nullptr;
    if (rd_kafka_metadata(client.get(), 0, made.get(), &metadata, 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR)
      throw std::runtime_error("can not find the topic " + name);
    known = metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_metadata_destroy(metadata);
  }
}

inline void delete_topic(const std::string& brokers, const std::string& name) {
  const auto client = make_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers}});
  auto* topic = rd_kafka_DeleteTopic_new(name.c_str());
  auto* queue = rd_kafka_queue_new(client.get());
  rd_kafka_DeleteTopics(client.get(), &topic, 1, nullptr, queue);
  auto* event = rd_kafka_queue_poll(queue, 30'000);
  if (event != nullptr) rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_DeleteTopic_destroy(topic);
}

// Lets a user do something with a topic, and so nobody else but those who are allowed, too.
inline void allow(const std::string& brokers, const std::string& topic, const std::string& user,
                  rd_kafka_AclOperation_t operation) {
  const auto client = make_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers}});
  std::array<char, 512> why{};
  auto* rule = rd_kafka_AclBinding_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL,
                                       ("User:" + user).c_str(), "*", operation, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW,
                                       why.data(), why.size());
  auto* queue = rd_kafka_queue_new(client.get());
  rd_kafka_CreateAcls(client.get(), &rule, 1, nullptr, queue);
  auto* event = rd_kafka_queue_poll(queue, 30'000);
  const bool made = event != nullptr && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (event != nullptr) rd_kafka_event_destroy(event);
  rd_kafka_queue_destroy(queue);
  rd_kafka_AclBinding_destroy(rule);
  if (!made) throw std::runtime_error("can not make a rule for the topic " + topic);
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
  std::vector<Record> read() {
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
    for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i)
      record.headers.emplace_back(name, std::string(static_cast<const char*>(value), size));
  }

  Client client_{nullptr, rd_kafka_destroy};
  std::string topic_;
  std::vector<std::int64_t> next_;  // offset, of each partition
  std::vector<Record> records_;
};

}  // namespace tide::test
