// SPDX-License-Identifier: Apache-2.0
//
// The sink "webhook": posts events over HTTP. Each lane has one request under way at a time, and so keeps its order; an
// event that has to be sent again holds up those behind it in its lane. The relay serialises the calls.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exchange.hpp"
#include "settings.hpp"
#include "tide/sink.hpp"

namespace tide::webhook {

using Clock = std::chrono::steady_clock;

class WebhookSink {
 public:
  static constexpr SinkInfo info{.id = "webhook",
                                 .sink_types = "webhook",
                                 .version = TIDE_PLUGIN_VERSION,
                                 .description = "Posts events over HTTP, signed as Standard Webhooks has it",
                                 .options = option_table};

  WebhookSink(Host host, const Config& config);
  ~WebhookSink();
  WebhookSink(const WebhookSink&) = delete;
  WebhookSink& operator=(const WebhookSink&) = delete;

  std::size_t publish(const Batch& batch);
  void ack(Results& results, std::chrono::milliseconds timeout);

 private:
  struct Item {
    std::uint64_t token;
    std::string key;
    std::string text;  // the payload, or the envelope
  };
  struct Job {  // what one request is made of: one event, or several
    std::vector<Item> items;
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers;
    bool fixed_url;
  };
  struct Lane {
    std::deque<Job> waiting;  // the first is under way where there is an exchange
    Request request;
    std::unique_ptr<Exchange> exchange;
  };
  struct Done {
    std::uint64_t token;
    std::int32_t status;
    std::string error;
    long code;
  };

  bool accept(const tide_message& event);
  Lane& lane_of(const tide_message& event);
  bool full(const Lane& lane) const;
  bool must_not_go_on() const;
  void start();
  void start(Lane& lane);
  void stop(Lane& lane);
  void perform();
  void finish(Lane& lane, CURLcode result);
  void settle(const Job& job, const Exchange::Outcome& outcome);
  void settle(const Item& item, std::int32_t status, std::string error, long code);

  Host host_;
  const Settings settings_;
  std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi_{curl_multi_init(), curl_multi_cleanup};
  std::vector<Lane> lanes_;
  std::size_t next_lane_ = 0;
  std::size_t bytes_ = 0;  // that wait or are under way
  std::deque<Done> done_;
  Clock::time_point paused_until_{};  // as the server asked
};

}  // namespace tide::webhook
