// SPDX-License-Identifier: Apache-2.0
#include "held_keys.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "json.hpp"
#include "subject.hpp"

namespace tide::nats {
namespace {

using std::chrono::milliseconds;

// Headers per pull: many enough to hide the round trip, few enough for the socket's and our own buffers.
constexpr std::uint64_t slice = 4096;

// What the keys may take. Those in doubt stand near the beginning; only a stream with other writers goes on for long.
constexpr std::size_t max_bytes = std::size_t{64} * 1024 * 1024;
constexpr std::size_t entry_overhead = 64;

// A replica that serves the consumer may be behind the leader by a moment.
constexpr milliseconds replica_lag{500};

// Everything that the pipeline can publish to, as far as the templates' fixed tokens tell. Empty where the stream could
// not take that as a filter.
std::string reading_filter(const std::vector<std::string>& publish_filters, const Stream& stream) {
  const std::string filter = common_filter(publish_filters);
  if (filter == ">" || stream.transforms) return {};
  const bool taken = std::any_of(stream.subjects.begin(), stream.subjects.end(),
                                 [&](const std::string& subject) { return covers(subject, filter); });
  return taken ? filter : std::string();
}

// $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>; servers may put two
// tokens after $JS.ACK and some at the end.
struct DeliveryPlace {
  std::uint64_t stream_sequence = 0;
  std::uint64_t consumer_sequence = 0;
  std::uint64_t pending = 0;
};
std::optional<DeliveryPlace> place_of(std::string_view ack_subject) {
  std::array<std::string_view, 16> tokens;
  std::size_t count = 0;
  for (std::size_t begin = 0; begin <= ack_subject.size() && count < tokens.size();) {
    const auto end = std::min(ack_subject.find('.', begin), ack_subject.size());
    tokens[count++] = ack_subject.substr(begin, end - begin);
    begin = end + 1;
  }
  if (count < 9 || tokens[0] != "$JS" || tokens[1] != "ACK") return std::nullopt;
  const std::size_t numbers = count < 11 ? 4 : 6;
  const auto number = [&](std::size_t i, std::uint64_t& value) {
    const auto token = tokens[numbers + i];
    return std::from_chars(token.data(), token.data() + token.size(), value).ec == std::errc();
  };
  DeliveryPlace place;
  if (!number(1, place.stream_sequence) || !number(2, place.consumer_sequence) || !number(4, place.pending))
    return std::nullopt;
  return place;
}

std::string api(std::string_view verb, const std::string& stream, const std::string& consumer = {}) {
  return "CONSUMER." + std::string(verb) + "." + stream + (consumer.empty() ? "" : "." + consumer);
}

}  // namespace

HeldKeys::HeldKeys(Host host, const Stream& stream, std::uint64_t first,
                   const std::vector<std::string>& subject_filters)
    : host_(host),
      stream_(stream.name),
      filter_(reading_filter(subject_filters, stream)),
      first_(first),
      last_(stream.last_sequence),
      replicated_(stream.replicas > 1),
      api_prefix_(stream.api_prefix) {}

void HeldKeys::read(Connection& connection) {
  if (state_ != State::waiting) return;
  state_ = State::creating;
  begun_ = Clock::now();
  connection.ask(api("CREATE", stream_),
                 "{\"stream_name\":" + json_string(stream_) +
                     ",\"config\":{\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":" +
                     std::to_string(first_) + (filter_.empty() ? "" : ",\"filter_subject\":" + json_string(filter_)) +
                     ",\"ack_policy\":\"none\",\"headers_only\":true,\"mem_storage\":true,"
                     "\"inactive_threshold\":30000000000}}",
                 "held-create");
}

void HeldKeys::take(Connection& connection, const Reply& reply) {
  if (reply.kind == Reply::Kind::no_responders) {
    if (reading())
      throw Error::retry("No responders: " + connection.server() + " does not serve JetStream now", NATS_NO_RESPONDERS);
    return;
  }
  if (state_ == State::creating && reply.kind == Reply::Kind::message && reply.subject_suffix() == "held-create")
    return created(connection, reply.data());
  if (state_ != State::reading) return;
  if (reply.kind == Reply::Kind::delivery) {
    delivered(reply);
    if (asked_ == 0 || (sequence_ >= last_ && read_ >= expected_) || bytes_ > max_bytes)
      go_on(connection, pending_ == 0);
    return;
  }
  if (reply.subject_suffix() != "held-pull") return;
  const std::string status = reply.header("Status");
  if (status != "404" && status != "408")
    throw Error::retry(connection.server() + " ended the reading of stream " + stream_ + " with status " + status);
  asked_ = 0;
  go_on(connection, true);
}

void HeldKeys::created(Connection& connection, std::string_view answer) {
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  if (parser.parse(answer.data(), answer.size()).get(json) != simdjson::SUCCESS || !json.is_object())
    throw Error::retry(connection.server() + " answered the request for a consumer with something that is no JSON");
  if (simdjson::dom::element error; json["error"].get(error) == simdjson::SUCCESS) {
    const std::string said = std::string(get_or(error, "description", std::string_view("no description"))) + " (" +
                             std::to_string(get_or(error, "err_code", std::int64_t{0})) + ")";
    if (get_or(error, "code", std::int64_t{0}) >= 500)
      throw Error::retry(connection.server() + " made no consumer on stream " + stream_ + ": " + said);
    return give_up(said);
  }
  consumer_ = get_or(json, "name", std::string_view{});
  expected_ = pending_ = get_or(json, "num_pending", std::uint64_t{0});
  sequence_ = first_ - 1;
  state_ = State::reading;
  go_on(connection, pending_ == 0);
}

void HeldKeys::delivered(const Reply& delivery) {
  const auto place = place_of(delivery.reply_subject());
  if (!place || place->consumer_sequence != read_ + 1)
    throw Error::retry("reading stream " + stream_ + " for what it holds already, a header went missing");
  ++read_;
  sequence_ = place->stream_sequence;
  pending_ = place->pending;
  if (asked_ > 0) --asked_;
  std::string key = delivery.header("Nats-Msg-Id");
  if (key.empty()) key = delivery.swallowed_header("Nats-Msg-Id");
  if (key.empty()) return;
  const std::size_t size = key.size() + entry_overhead;
  if (!places_.try_emplace(std::move(key), held_.size()).second) return;
  held_.push_back({sequence_, false});
  bytes_ += size;
}

void HeldKeys::go_on(Connection& connection, bool at_end) {
  if (bytes_ > max_bytes) {
    host_.warn("stream " + stream_ + " holds too much after sequence " + std::to_string(first_ - 1) +
               ": what stands beyond " + std::to_string(sequence_) + " was not read");
    return finish(connection);
  }
  if (sequence_ >= last_ && read_ >= expected_) return finish(connection);
  if (!at_end) return pull(connection, false);
  if (replicated_ && sequence_ < last_ && Clock::now() < begun_ + replica_lag) return pull(connection, true);
  finish(connection);
}

void HeldKeys::pull(Connection& connection, bool wait_for_more) {
  asked_ = std::clamp(pending_, std::uint64_t{1}, slice);
  connection.ask(
      api("MSG.NEXT", stream_, consumer_),
      "{\"batch\":" + std::to_string(asked_) + (wait_for_more ? ",\"expires\":100000000}" : ",\"no_wait\":true}"),
      "held-pull");
}

void HeldKeys::finish(Connection& connection) {
  state_ = State::ready;
  took_ = std::chrono::duration_cast<milliseconds>(Clock::now() - begun_);
  // No answer is awaited: one that says "no responders" could not be told from those of messages. Without the right to
  // it, the server removes the consumer by itself.
  connection.tell(api("DELETE", stream_, consumer_));
}

void HeldKeys::give_up(std::string_view why) {
  if (state_ == State::ready) return;
  state_ = State::ready;
  told_ = true;
  host_.warn("cannot read what stream " + stream_ + " holds already (" + std::string(why) +
             "): events that were sent before and not confirmed may be stored twice once the duplicate window is "
             "over. Allow publishing to " +
             api_prefix_ + api("CREATE", stream_) + ", " + api_prefix_ + api("MSG.NEXT", stream_, "*") + " and " +
             api_prefix_ + api("DELETE", stream_, "*"));
}

std::optional<std::uint64_t> HeldKeys::find(std::string_view key) {
  ++looked_up_;
  const auto place = places_.find(key);
  if (place == places_.end()) return std::nullopt;
  ++found_;
  Held& held = held_[place->second];
  held.found = true;
  while (first_open_ < held_.size() && held_[first_open_].found) ++first_open_;
  return held.sequence;
}

std::optional<std::uint64_t> HeldKeys::first_open() const {
  if (first_open_ == held_.size()) return std::nullopt;
  return held_[first_open_].sequence;
}

void HeldKeys::tell() {
  if (told_ || state_ != State::ready || looked_up_ == 0) return;
  told_ = true;
  host_.info("read " + std::to_string(read_) + " headers of stream " + stream_ + " after sequence " +
             std::to_string(first_ - 1) + " in " + std::to_string(took_.count()) + " ms: of " +
             std::to_string(looked_up_) + " events in doubt, " + std::to_string(found_) + " are stored already");
}

}  // namespace tide::nats
