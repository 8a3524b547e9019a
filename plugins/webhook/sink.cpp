// SPDX-License-Identifier: Apache-2.0
#include "sink.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <new>
#include <set>
#include <utility>

#include "../envelope/envelope.hpp"
#include "signature.hpp"

namespace tide::webhook {

using std::chrono::milliseconds;

namespace {

constexpr std::size_t kJobsOfALane = 8;  // enough that the next is there when one is done
constexpr std::size_t kMostBytes = 16u << 20;
constexpr std::size_t kBatchBytes = 1u << 20;

void initialise() {
  static const auto result = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (result != CURLE_OK) throw Error::fatal("libcurl could not be initialised", result);
}

// The option's place among the template options.
constexpr std::size_t kUrl = 0;
constexpr std::size_t kOrderBy = 1;

}  // namespace

WebhookSink::WebhookSink(Host host, const Config& config)
    : host_(host), settings_(config), lanes_(settings_.concurrency) {
  initialise();
  if (!multi_) throw std::bad_alloc();
  const auto until = Clock::now() + config.deadline();
  std::set<std::string> origins;
  for (const auto& shape : settings_.shapes) origins.insert(shape.origin());
  for (const auto& origin : origins)
    reach(settings_, origin, std::chrono::floor<milliseconds>(until - Clock::now()) * 9 / 10);
}

WebhookSink::~WebhookSink() {
  for (auto& lane : lanes_) stop(lane);
}

// ---------------------------------------------------------------------------------------------------- taking events

// Until the relay has heard of an event that is to be sent again, what it publishes may have to stand behind that one.
bool WebhookSink::must_not_go_on() const {
  return std::any_of(done_.begin(), done_.end(),
                     [](const Done& d) { return d.status == TIDE_RETRY || d.status == TIDE_FATAL; });
}

std::size_t WebhookSink::publish(const Batch& batch) {
  std::size_t taken = 0;
  if (must_not_go_on()) return 0;
  for (const auto& event : batch) {
    if (!accept(event)) break;
    ++taken;
  }
  start();
  perform();
  return taken;
}

WebhookSink::Lane& WebhookSink::lane_of(const tide_message& event) {
  if (!settings_.ordered) return lanes_[next_lane_];
  return lanes_[std::hash<std::string_view>{}(view(fields(event)[kOrderBy])) % lanes_.size()];
}

bool WebhookSink::full(const Lane& lane) const {
  return lane.waiting.size() >= kJobsOfALane || bytes_ >= kMostBytes;
}

bool WebhookSink::accept(const tide_message& event) {
  if (fields(event).size() <= kOrderBy) throw Error::fatal("the relay sent no value for a template option");
  if (!settings_.ordered) {  // the emptiest
    const auto emptiest = std::min_element(
        lanes_.begin(), lanes_.end(), [](const Lane& a, const Lane& b) { return a.waiting.size() < b.waiting.size(); });
    next_lane_ = static_cast<std::size_t>(emptiest - lanes_.begin());
  }
  auto& lane = lane_of(event);
  const auto url = view(fields(event)[kUrl]);
  Item item{event.token, std::string(view(event.key)), {}};
  const auto* const shape = settings_.shape_of(url);
  if (shape == nullptr) {
    settle(item, TIDE_REJECTED,
           "the url " + shown(url) +
               " has other parts than its template: a value holds one of / ? # & = ; % @ \\, or the host is another",
           0);
    return true;
  }
  std::vector<std::pair<std::string, std::string>> own;
  if (settings_.batches() || settings_.body == Body::envelope) {
    envelope::append(item.text, event);
  } else {
    item.text = view(event.payload);
    for (const auto& header : headers(event)) {
      const auto name = view(header.name);
      const auto value = view(header.value);
      if (!is_header_name(name) || !is_header_value(value) || is_reserved_header(name)) {
        settle(item, TIDE_REJECTED,
               "the event's header '" + std::string(name) +
                   "' can't be sent: HTTP does not allow it, or the relay sets it itself",
               0);
        return true;
      }
      const bool configured = std::any_of(settings_.headers.begin(), settings_.headers.end(),
                                          [&](const auto& ours) { return same_header(ours.first, name); });
      if (configured && same_header(name, "Content-Type")) continue;  // which most events have from their format
      if (configured) {
        settle(item, TIDE_REJECTED,
               "the event's header '" + std::string(name) + "' can't be sent: the option headers sets it", 0);
        return true;
      }
      own.emplace_back(name, value);
    }
  }

  const auto more = item.text.size();
  auto whole = encoded(url);
  const bool first_is_under_way = lane.exchange != nullptr;
  if (settings_.batches() && lane.waiting.size() > (first_is_under_way ? 1u : 0u)) {
    auto& last = lane.waiting.back();
    const auto size = [&] {
      std::size_t sum = 0;
      for (const auto& other : last.items) sum += other.text.size();
      return sum;
    };
    if (last.url == whole && last.items.size() < 1000 && size() + more <= kBatchBytes) {
      bytes_ += more;
      last.items.push_back(std::move(item));
      return true;
    }
  }
  if (full(lane)) return false;
  bytes_ += more;
  Job job{{}, std::move(whole), std::move(own), !shape->varies()};
  job.items.push_back(std::move(item));
  lane.waiting.push_back(std::move(job));
  return true;
}

// ---------------------------------------------------------------------------------------------------- requests

void WebhookSink::start() {
  if (Clock::now() < paused_until_) return;
  for (auto& lane : lanes_)
    if (!lane.exchange && !lane.waiting.empty()) start(lane);
}

void WebhookSink::start(Lane& lane) {
  const auto& job = lane.waiting.front();
  lane.request = {job.url, {}, job.items.front().key, job.headers};
  auto& body = lane.request.body;
  if (!settings_.batches()) {
    body = job.items.front().text;
  } else {
    std::vector<std::string_view> keys;
    const bool array = settings_.body == Body::array;
    for (const auto& item : job.items) {
      keys.push_back(item.key);
      if (array) body += keys.size() == 1 ? '[' : ',';
      body += item.text;
      if (!array) body += '\n';
    }
    if (array) body += ']';
    lane.request.id = id_of(keys);
  }
  lane.exchange = std::make_unique<Exchange>(settings_, lane.request);
  if (curl_multi_add_handle(multi_.get(), lane.exchange->handle()) != CURLM_OK) {
    lane.exchange.reset();
    throw Error::retry("libcurl could not take a request");
  }
}

void WebhookSink::stop(Lane& lane) {
  if (!lane.exchange) return;
  curl_multi_remove_handle(multi_.get(), lane.exchange->handle());
  lane.exchange.reset();
}

void WebhookSink::perform() {
  int running = 0;
  if (const auto error = curl_multi_perform(multi_.get(), &running); error != CURLM_OK)
    throw Error::retry(std::string("libcurl failed: ") + curl_multi_strerror(error), error);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto result = message->data.result;
    const auto lane = std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& l) {
      return l.exchange && l.exchange->handle() == message->easy_handle;
    });
    if (lane != lanes_.end()) finish(*lane, result);
  }
  start();
}

void WebhookSink::finish(Lane& lane, CURLcode result) {
  auto job = std::move(lane.waiting.front());
  lane.waiting.pop_front();
  const auto outcome = lane.exchange->outcome(result, job.fixed_url);
  stop(lane);
  if (outcome.status == TIDE_REJECTED && job.items.size() > 1) {  // which of them it is, halves of it will tell
    const auto middle = job.items.begin() + static_cast<std::ptrdiff_t>(job.items.size() / 2);
    Job second{{std::make_move_iterator(middle), std::make_move_iterator(job.items.end())},
               job.url,
               job.headers,
               job.fixed_url};
    job.items.erase(middle, job.items.end());
    lane.waiting.push_front(std::move(second));
    lane.waiting.push_front(std::move(job));
    return;
  }
  settle(job, outcome);
  if (outcome.status != TIDE_RETRY && outcome.status != TIDE_FATAL) return;
  if (outcome.retry_after && outcome.retry_after->count() > 0) {
    paused_until_ = std::max(paused_until_, Clock::now() + *outcome.retry_after);
    host_.warn(outcome.error + "; it asks to wait for " + std::to_string(outcome.retry_after->count()) + " s");
  }
  // What stands behind it must not overtake it.
  for (const auto& behind : lane.waiting) settle(behind, {TIDE_RETRY, outcome.error, outcome.code, std::nullopt});
  lane.waiting.clear();
}

void WebhookSink::settle(const Job& job, const Exchange::Outcome& outcome) {
  for (const auto& item : job.items) {
    bytes_ -= item.text.size();
    settle(item, outcome.status, outcome.error, outcome.code);
  }
}

void WebhookSink::settle(const Item& item, std::int32_t status, std::string error, long code) {
  done_.push_back({item.token, status, std::move(error), code});
}

// ---------------------------------------------------------------------------------------------------- results

void WebhookSink::ack(Results& results, milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  const auto known = [&] {  // what is to be sent again waits here as long as the server asked
    return std::any_of(done_.begin(), done_.end(),
                       [&](const Done& d) { return d.status != TIDE_RETRY || Clock::now() >= paused_until_; });
  };
  start();
  perform();
  while (!known()) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    if (left.count() <= 0) return;
    if (curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(left.count()), nullptr) != CURLM_OK) return;
    perform();
  }
  const bool paused = Clock::now() < paused_until_;
  for (auto at = done_.begin(); at != done_.end() && !results.full();) {
    auto& [token, status, error, code] = *at;
    if (status == TIDE_RETRY && paused) {
      ++at;
      continue;
    }
    if (status == TIDE_STORED)
      results.stored(token);
    else
      results.failed(token, status, std::move(error), code);
    at = done_.erase(at);
  }
}

}  // namespace tide::webhook
