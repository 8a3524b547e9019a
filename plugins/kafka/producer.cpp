// SPDX-License-Identifier: Apache-2.0
#include "producer.hpp"

#include <array>

#include "lookup.hpp"

namespace tide::kafka {
namespace {

using Conf = std::unique_ptr<rd_kafka_conf_t, void (*)(rd_kafka_conf_t*)>;

}  // namespace

Producer::Producer(Host host, const Settings& settings) : host_(host) {
  Conf conf(rd_kafka_conf_new(), rd_kafka_conf_destroy);
  std::array<char, 512> why{};
  for (const auto& [name, value] : settings.properties)
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), why.data(), why.size()) != RD_KAFKA_CONF_OK)
      throw Error::fatal("librdkafka does not take its property " + name + ": " + why.data());
  rd_kafka_conf_set_resolve_cb(conf.get(), look_up);
  rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
  client_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), why.data(), why.size()));
  if (!client_) throw Error::fatal(std::string("librdkafka does not take the configuration: ") + why.data());
  static_cast<void>(conf.release());  // the client's
  queue_.reset(rd_kafka_queue_get_main(client_.get()));
  rd_kafka_set_log_queue(client_.get(), nullptr);  // the same one
}

Producer::~Producer() {
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
  topics_.clear();
}

void Producer::give_up_queued() {
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

rd_kafka_topic_t* Producer::topic(std::string_view name) {
  std::string key(name);
  const auto known = topics_.find(key);
  if (known != topics_.end()) return known->second.get();
  Topic made(rd_kafka_topic_new(client_.get(), key.c_str(), nullptr), rd_kafka_topic_destroy);
  return topics_.emplace(std::move(key), std::move(made)).first->second.get();
}

rd_kafka_resp_err_t Producer::produce(std::string_view topic_name, tide_str key, tide_str value, Headers headers,
                                      std::uint64_t number) {
  std::array<rd_kafka_vu_t, 6> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_RKT;
  parts[0].u.rkt = topic(topic_name);
  if (parts[0].u.rkt == nullptr) return RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
  parts[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[1].u.i = RD_KAFKA_MSG_F_COPY;
  parts[2].vtype = RD_KAFKA_VTYPE_KEY;
  parts[2].u.mem = {const_cast<char*>(key.data), static_cast<std::size_t>(key.size)};
  parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[3].u.mem = {const_cast<char*>(value.data), static_cast<std::size_t>(value.size)};
  parts[4].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[4].u.headers = headers.get();
  parts[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[5].u.ptr = reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr): handed back, never followed
  const std::unique_ptr<rd_kafka_error_t, void (*)(rd_kafka_error_t*)> error(
      rd_kafka_produceva(client_.get(), parts.data(), parts.size()), rd_kafka_error_destroy);
  if (error) return rd_kafka_error_code(error.get());
  static_cast<void>(headers.release());  // the record's
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t Producer::broken(std::string* text) const {
  std::array<char, 512> why{};
  const auto error = rd_kafka_fatal_error(client_.get(), why.data(), why.size());
  if (text != nullptr) *text = why.data();
  return error;
}

void Producer::take(rd_kafka_event_t* event) {
  if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
    const auto error = rd_kafka_event_error(event);
    if (error == RD_KAFKA_RESP_ERR__FATAL) return;  // see broken()
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
      trouble_.everywhere = true;
      return;
    }
    trouble_ = {error, rd_kafka_event_error_string(event), false};
    if (tells_) host_.warn(trouble_.text);
  } else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_LOG) {
    const char* facility = "";
    const char* text = "";
    int level = 0;
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0) return;
    const auto line = std::string("librdkafka: ") + facility + ": " + text;
    // Failures come as errors, too, and are told or thrown there. The configuration is the sink's own.
    const std::string_view kind = facility;
    if (kind == "FATAL" || kind == "FAIL" || kind == "CONFWARN" || level >= 7)
      host_.debug(line);
    else if (level >= 5)
      host_.info(line);
    else
      host_.warn(line);
  }
}

}  // namespace tide::kafka
