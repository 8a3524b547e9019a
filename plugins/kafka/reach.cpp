// SPDX-License-Identifier: Apache-2.0
#include "reach.hpp"

#include <algorithm>
#include <memory>

#include "verdict.hpp"

namespace tide::kafka {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A broker that creates a topic when it is asked for it says only at the next question that it is there.
constexpr milliseconds kCreation{2000};
constexpr milliseconds kPause{50};

std::string place(const Settings& settings) {
  return "cannot reach Kafka at " + settings.brokers;
}

// What is wrong with the configuration stops the pipeline; the rest is an outage.
[[noreturn]] void fail(const Settings& settings, const Trouble& trouble) {
  const auto says = [&](std::string_view word) { return trouble.text.find(word) != std::string::npos; };
  auto text = place(settings) + ": " + (trouble.text.empty() ? "no answer in time" : trouble.text);
  if (verdict_on(trouble.error) == Verdict::rights)
    throw Error::fatal(text + std::string(advice(trouble.error)), trouble.error);
  if (says("certificate") || says("unknown ca"))
    throw Error::fatal(text + ". Check the brokers' certificates, tls_ca_cert and tls_client_cert", trouble.error);
  throw Error::retry(text +
                         ". Check `brokers`, the network, and that these listeners speak what is configured: TLS by "
                         "the tls_… options, SASL by username and password",
                     trouble.error);
}

struct Answer {
  rd_kafka_resp_err_t error;
  rd_kafka_resp_err_t topic_error;
};

// name may be empty: any broker's word will do.
Answer ask(Producer& producer, const std::string& name, milliseconds timeout) {
  const std::unique_ptr<rd_kafka_topic_t, void (*)(rd_kafka_topic_t*)> topic(
      name.empty() ? nullptr : rd_kafka_topic_new(producer.handle(), name.c_str(), nullptr), rd_kafka_topic_destroy);
  const rd_kafka_metadata_t* found = nullptr;
  const auto error = rd_kafka_metadata(producer.handle(), 0, topic.get(), &found, static_cast<int>(timeout.count()));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return {error, RD_KAFKA_RESP_ERR_NO_ERROR};
  const std::unique_ptr<const rd_kafka_metadata_t, void (*)(const rd_kafka_metadata_t*)> metadata(
      found, rd_kafka_metadata_destroy);
  return {error, topic && found->topic_cnt > 0 ? found->topics[0].err : RD_KAFKA_RESP_ERR_NO_ERROR};
}

void reach(Producer& producer, const Settings& settings, const std::string& topic, Clock::time_point until) {
  const auto created_by = std::min(Clock::now() + kCreation, until - kPause);
  // Ever longer, so that a broker far away is heard, and one that refuses is not waited for.
  milliseconds patience{250};
  while (true) {
    const auto left = std::chrono::floor<milliseconds>(until - Clock::now());
    if (left.count() <= 0) fail(settings, producer.trouble());
    const auto answer = ask(producer, topic, std::min(patience, left));
    producer.poll(milliseconds(0), [](const auto&) {});
    const auto& trouble = producer.trouble();
    if (answer.error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (trouble.everywhere || verdict_on(trouble.error) == Verdict::rights) fail(settings, trouble);
      patience = std::min(patience * 2, milliseconds(10'000));
      producer.poll(std::min(kPause, left), [](const auto&) {});
      continue;
    }
    const auto error = answer.topic_error;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    if (verdict_on(error) == Verdict::topic &&
        (error != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || Clock::now() >= created_by))
      throw Error::fatal(
          "topic " + topic + " at " + settings.brokers + ": " + described(error) + std::string(advice(error)), error);
    producer.poll(kPause, [](const auto&) {});
  }
}

}  // namespace

void reach(Producer& producer, const Settings& settings, Clock::time_point until) {
  if (settings.fixed_topics.empty()) return reach(producer, settings, {}, until);
  for (const auto& topic : settings.fixed_topics) reach(producer, settings, topic, until);
}

}  // namespace tide::kafka
