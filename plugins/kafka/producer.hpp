// SPDX-License-Identifier: Apache-2.0
//
// One idempotent producer of librdkafka. What it reports is pulled by poll(), so that nothing runs on librdkafka's
// threads. One thread at a time.
#pragma once

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "record.hpp"
#include "settings.hpp"
#include "tide/sink.hpp"

namespace tide::kafka {

// What librdkafka last said of its connections.
struct Trouble {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string text;
  bool everywhere = false;  // no broker is connected
};

class Producer {
 public:
  // Connects in the background. Throws a fatal Error for a property that librdkafka refuses.
  Producer(Host host, const Settings& settings);
  ~Producer();  // what has no report by now is given up
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // Hands over a record; its report will carry the number. A key without data is none.
  rd_kafka_resp_err_t produce(std::string_view topic, tide_str key, tide_str value, Headers headers,
                              std::uint64_t number);

  // Waits for something to happen and calls delivered(report) for each record that is reported on.
  template <class Delivered>
  void poll(std::chrono::milliseconds timeout, Delivered&& delivered) {
    for (auto wait = timeout;; wait = std::chrono::milliseconds(0)) {
      const Event event(rd_kafka_queue_poll(queue_.get(), static_cast<int>(wait.count())), rd_kafka_event_destroy);
      if (!event) return;
      while (const auto* report = rd_kafka_event_message_next(event.get())) delivered(*report);
      take(event.get());
    }
  }

  // The error after which it takes and sends nothing more, and what is to be said of it.
  [[nodiscard]] rd_kafka_resp_err_t broken(std::string* text = nullptr) const;
  // Reports on what is not sent by now, as not delivered.
  void give_up_queued();

  [[nodiscard]] rd_kafka_t* handle() const { return client_.get(); }
  [[nodiscard]] const Trouble& trouble() const { return trouble_; }
  void forget_trouble() { trouble_ = {}; }
  // From now on, trouble is told in the log.
  void tell() { tells_ = true; }

 private:
  using Event = std::unique_ptr<rd_kafka_event_t, void (*)(rd_kafka_event_t*)>;
  using Topic = std::unique_ptr<rd_kafka_topic_t, void (*)(rd_kafka_topic_t*)>;

  void take(rd_kafka_event_t* event);
  rd_kafka_topic_t* topic(std::string_view name);

  Host host_;
  std::unique_ptr<rd_kafka_t, void (*)(rd_kafka_t*)> client_{nullptr, rd_kafka_destroy};
  std::unique_ptr<rd_kafka_queue_t, void (*)(rd_kafka_queue_t*)> queue_{nullptr, rd_kafka_queue_destroy};
  std::unordered_map<std::string, Topic> topics_;
  Trouble trouble_;
  bool tells_ = false;
};

}  // namespace tide::kafka
