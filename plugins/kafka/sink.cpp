// SPDX-License-Identifier: Apache-2.0
#include "sink.hpp"

#include <algorithm>

#include "reach.hpp"
#include "record.hpp"
#include "verdict.hpp"

namespace tide::kafka {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLook{20};

// The options' places among the template options.
constexpr std::size_t kTopic = 0;
constexpr std::size_t kKey = 1;

}  // namespace

KafkaSink::KafkaSink(Host host, const Config& config) : host_(host), settings_(config) {
  producer_.emplace(host_, settings_);
  reach(*producer_, settings_, Clock::now() + config.deadline() * 9 / 10);
  producer_->tell();
}

// ---------------------------------------------------------------------------------------------------- taking events

std::size_t KafkaSink::publish(const Batch& batch) {
  pump(milliseconds(0));
  if (producer_->broken() != RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
  std::size_t taken = 0;
  for (const auto& event : batch) {
    if (!takes_more() || !accept(event)) break;
    ++taken;
  }
  return taken;
}

// Until the relay has heard of an event that is to be sent again, what it publishes may have to stand behind that one.
bool KafkaSink::takes_more() const {
  return held_up_ == 0 && !alone_ && !in_flight_.full() && done_.size() < kMostInFlight;
}

bool KafkaSink::accept(const tide_message& event) {
  if (fields(event).size() <= kKey) throw Error::fatal("the relay sent no value for a template option");
  const auto topic = view(fields(event)[kTopic]);
  if (auto why = why_unsendable(event, topic)) {
    put(event.token, TIDE_REJECTED, std::move(*why));
    return true;
  }
  const auto key = view(event.key);
  const bool alone = suspects_.contains(key);
  if (alone && !in_flight_.empty()) return false;
  tide_str record_key = settings_.keyed ? fields(event)[kKey] : event.key;
  if (record_key.size == 0) record_key.data = nullptr;
  const auto error = producer_->produce(topic, record_key, event.payload, headers_of(event), in_flight_.next_number());
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      in_flight_.add(event.token, key, alone, Clock::now());
      alone_ = alone;
      return true;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
    case RD_KAFKA_RESP_ERR__FATAL:
      return false;
    default:  // before it was in any batch
      settle(event.token, topic, error, key, true);
      return true;
  }
}

// ---------------------------------------------------------------------------------------------------- reports

void KafkaSink::pump(milliseconds timeout) {
  producer_->poll(timeout, [&](const rd_kafka_message_t& record) { report(record); });
}

void KafkaSink::report(const rd_kafka_message_t& record) {
  const auto* const entry = in_flight_.settle(reinterpret_cast<std::uint64_t>(record._private));
  if (entry == nullptr) return;
  if (in_flight_.empty()) alone_ = false;
  // Without an offset, it is librdkafka's conclusion: a later record of the partition was stored, which the broker
  // would have refused for the gap before it. But one that does not know this producer there takes any sequence
  // (Kafka's ProducerAppendInfo.checkSequence).
  if (record.err == RD_KAFKA_RESP_ERR_NO_ERROR && record.offset < 0)
    return put(entry->token, TIDE_RETRY,
               "topic " + std::string(rd_kafka_topic_name(record.rkt)) +
                   ": a later record was stored, and of this one the broker said nothing");
  settle(entry->token, rd_kafka_topic_name(record.rkt), record.err, entry->key, entry->alone);
}

void KafkaSink::settle(std::uint64_t token, std::string_view topic, rd_kafka_resp_err_t error, std::string_view key,
                       bool alone) {
  const auto forget = [&] {
    if (const auto found = suspects_.find(key); found != suspects_.end()) suspects_.erase(found);
  };
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
    producer_->forget_trouble();
    forget();
    return put(token, TIDE_STORED);
  }
  auto text = "topic " + std::string(topic) + ": " + described(error) + std::string(advice(error));
  if (std::string why; producer_->broken(&why) != RD_KAFKA_RESP_ERR_NO_ERROR && verdict_on(error) == Verdict::later)
    text = "the producer ended: " + why;  // which is why this record was not sent
  auto status = TIDE_RETRY;
  switch (verdict_on(error)) {
    case Verdict::later:
      break;
    case Verdict::topic:
      status = settings_.topic_varies(topic) ? TIDE_REJECTED : TIDE_FATAL;
      break;
    case Verdict::content:
      if (alone)
        status = TIDE_REJECTED;
      else
        suspects_.emplace(key);
      break;
    case Verdict::rights:
      status = TIDE_FATAL;
      break;
  }
  if (status == TIDE_REJECTED) forget();
  put(token, status, std::move(text), error);
}

void KafkaSink::put(std::uint64_t token, std::int32_t status, std::string error, std::int64_t code) {
  if (status == TIDE_RETRY || status == TIDE_FATAL) ++held_up_;
  done_.push_back({token, status, std::move(error), code});
}

// After what would leave a gap in a partition, a producer takes and sends nothing more. Once it has reported on all
// that it had, another takes its place.
void KafkaSink::mend() {
  std::string why;
  const auto error = producer_->broken(&why);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  if (!in_flight_.empty()) {
    // The requests that are under way are waited for: what they stored is not sent again then.
    producer_->give_up_queued();
    return;
  }
  if (verdict_on(error) == Verdict::rights && done_.empty())
    throw Error::fatal("Kafka at " + settings_.brokers + ": " + why + std::string(advice(error)), error);
  if (verdict_on(error) == Verdict::rights) return;
  host_.warn("going on with a new producer, since the last one ended: " + why +
             (suspects_.empty() ? ""
                                : ". The " + std::to_string(suspects_.size()) +
                                      " records of the batch that was refused are sent one by one"));
  producer_.emplace(host_, settings_);
  producer_->tell();
}

// ---------------------------------------------------------------------------------------------------- results

void KafkaSink::ack(Results& results, milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  for (bool first = true; first || done_.empty(); first = false) {
    const auto left = std::max(std::chrono::ceil<milliseconds>(until - Clock::now()), milliseconds(0));
    const bool is_broken = producer_->broken() != RD_KAFKA_RESP_ERR_NO_ERROR;
    pump(!done_.empty() ? milliseconds(0) : is_broken ? std::min(left, kLook) : left);
    mend();
    if (left.count() == 0) break;
  }
  for (; !done_.empty() && !results.full(); done_.pop_front()) {
    auto& [token, status, error, code] = done_.front();
    if (status == TIDE_RETRY || status == TIDE_FATAL) --held_up_;
    if (status == TIDE_STORED)
      results.stored(token);
    else
      results.failed(token, status, std::move(error), code);
  }
  if (results.empty()) throw_if_overdue();
}

void KafkaSink::throw_if_overdue() const {
  if (in_flight_.empty() || Clock::now() < in_flight_.oldest().since + settings_.delivery_timeout) return;
  const auto& trouble = producer_->trouble();
  throw Error::retry(
      "Kafka at " + settings_.brokers + " did not acknowledge the oldest of " + std::to_string(in_flight_.size()) +
          " records in " + std::to_string(settings_.delivery_timeout.count()) + " ms: " +
          (trouble.text.empty() ? "the partition's leader may be gone, or fewer replicas in sync than the "
                                  "topic's min.insync.replicas asks for"
                                : trouble.text),
      trouble.error);
}

}  // namespace tide::kafka
