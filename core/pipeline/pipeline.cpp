#include "pipeline/pipeline.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "base/crash_point.hpp"
#include "base/log.hpp"

namespace tide {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kWindow = 16384;         // events that are kept until their offset is committed
constexpr std::size_t kWindowBytes = 64u << 20;  // and what their texts may take
// What an earlier life may have sent beyond the offset: a window, and what it committed in the last moments before a
// crash of PostgreSQL, which forgets that.
constexpr std::uint64_t kDoubt = 8 * kWindow;
constexpr milliseconds kCommitEvery{100};
constexpr milliseconds kPollAsked{1000};  // covers a wake-up that was missed
constexpr milliseconds kPollQuiet{5000};
constexpr seconds kQuiet{10};  // after so long without an event
constexpr milliseconds kPollBusy{1};
constexpr milliseconds kPollLessBusy{2};
constexpr milliseconds kAckWait{5};
constexpr milliseconds kKeepAliveEvery{1000};  // of a sink with nothing in flight: its ABI says so
constexpr milliseconds kConnectDeadline{5000};
constexpr milliseconds kDrainDeadline{5000};
constexpr milliseconds kNoLeasePause{20};
constexpr std::size_t kPageBytesWhenSpent = 64u << 10;  // of a pipeline that holds nothing, when memory is short
constexpr int kOnceTries = 5;
constexpr std::size_t kKeepPayload = 16u << 10;
constexpr seconds kTellEvery{10};

// Publishers are asked to notify while fewer events a second come, and no longer above: a NOTIFY takes a lock of the
// whole cluster until its commit is on disk, so no more than one over that time can commit in a second. Well below what
// a slow disk allows, else the rate that the lock permits would never reach what withdraws it.
constexpr double kAskBelow = 100;
constexpr double kWithdrawAbove = 200;
constexpr double kBusy = 1000;
constexpr milliseconds kRateWindow{200};

tide_str str(std::string_view text) {
  return {text.data(), text.size()};
}

// The oldest transaction that ran when the snapshot was taken.
std::int64_t xmin(std::string_view snapshot) {
  std::int64_t xid = 0;
  std::from_chars(snapshot.data(), snapshot.data() + snapshot.size(), xid);
  return xid;
}

}  // namespace

Pipeline::Pipeline(Parts parts)
    : name_(std::move(parts.name)),
      config_(std::move(parts.config)),
      plugin_(std::move(parts.plugin)),
      source_(std::move(parts.source)),
      letters_(std::move(parts.letters)),
      offsets_(*parts.offsets),
      memory_(*parts.memory),
      memory_held_(memory_),
      offset_id_(parts.owned.offset_id),
      once_(parts.once),
      renderer_(config_.rendering),
      batcher_(static_cast<std::size_t>(config_.settings.batch_size)),
      ledger_(parts.owned.position, parts.owned.sink_position),
      read_to_(parts.owned.position),
      sink_position_(parts.owned.sink_position),
      first_unsent_(1 + kDoubt),
      doubt_end_(first_unsent_),
      backoff_(config_.settings.retry_initial, config_.settings.retry_max),
      slow_backoff_(seconds(5), seconds(60)) {}

void Pipeline::run(const std::stop_token& stop) {
  int failures = 0;
  while (connect(stop)) {
    milliseconds pause;
    try {
      deliver(stop);
      note("stopped");
      return;
    } catch (const SinkDown& e) {
      if (once_ && ++failures == kOnceTries) throw;
      if (Clock::now() - connected_at_ > config_.settings.retry_max) backoff_.reset();  // another outage than the last
      pause = backoff_.next();
      spdlog::warn("pipeline '{}': {}; what was in flight is sent again in {} ms", name_, e.what(), pause.count());
      note("retrying", e.what());
    } catch (const SinkFatal& e) {
      if (once_) throw;
      pause = slow_backoff_.next();
      spdlog::error("pipeline '{}': {}; it stands still, next try in {} s", name_, e.what(), pause.count() / 1000);
      note("failed", e.what());
    } catch (const SinkLeaves& e) {
      // Not for ever without a pause, should the next server take its leave as well before anything is stored.
      pause = left_before_ ? backoff_.next() : milliseconds(0);
      left_before_ = true;
      spdlog::info("pipeline '{}': {}; connecting again", name_, e.what());
    }
    requeue_everything();
    sleep_for(pause, stop);
  }
  note("stopped");
}

bool Pipeline::connect(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    milliseconds pause;
    try {
      sink_ = std::make_unique<Sink>(plugin_, name_, config_.values, sink_position_, kConnectDeadline);
      connected_at_ = Clock::now();
      spdlog::info("pipeline '{}': running, from event {} on", name_, read_to_.last_id);
      note("running");
      return true;
    } catch (const SinkDown& e) {
      if (once_) throw;
      pause = backoff_.next();
      spdlog::warn("pipeline '{}': {}; next try in {} ms", name_, e.what(), pause.count());
      note("retrying", e.what());
    } catch (const SinkFatal& e) {
      if (once_) throw;
      pause = slow_backoff_.next();
      spdlog::error("pipeline '{}': {}; next try in {} s", name_, e.what(), pause.count() / 1000);
      note("failed", e.what());
    }
    sleep_for(pause, stop);
  }
  return false;
}

void Pipeline::deliver(const std::stop_token& stop) {
  // Before anything is sent, so that all that will be in doubt stands after a position that is known.
  for (const auto& result : sink_->ack(milliseconds(0))) {
    if (result.token == 0 && result.status == TIDE_STORED) {
      stand_at(result.sink_position);
    } else {
      settle(result);
    }
  }
  forget_discarded_letters();
  std::optional<Clock::time_point> drain_until;
  while (true) {
    const auto now = Clock::now();
    if (stop.stop_requested()) {
      crash_point("during_shutdown");
      if (!drain_until) drain_until = now + kDrainDeadline;
      if (in_flight_ == 0 || now >= *drain_until) break;
    } else {
      if (may_read()) read();
      if (may_read_letters()) read_letters();  // after may_read(), which takes the wake-up
      if (retry_.empty() && batcher_.waiting() > 0) {
        if (offsets_.holds_lease()) {
          publish();
        } else {
          sleep_for(kNoLeasePause, stop);
        }
      }
    }
    if (in_flight_ > 0 || sink_full_) {
      pull_acks(batcher_.waiting() > 0 && retry_.empty() && !sink_full_ ? milliseconds(0) : kAckWait);
    } else if (!retry_.empty()) {
      send_again(stop);
    }
    // What waits for the ledger to be empty need not wait for the time.
    const bool wanted = (letters_left_ || memory_.spent()) && nothing_open();
    if (now >= commit_at_ || wanted || window_used() > kWindow / 2 || ledger_.bytes() > kWindowBytes / 2) {
      commit();
    }
    if (!idling()) continue;
    if (once_) break;
    idle(stop);
  }
  if (stop.stop_requested()) crash_point("during_shutdown");
  while (commit()) {
  }
  tell_dropped();
  sink_.reset();
}

bool Pipeline::nothing_open() const {
  return in_flight_ == 0 && batcher_.waiting() == 0 && retry_.empty();
}

bool Pipeline::idling() const {
  return at_head_ && !letters_left_ && nothing_open();
}

// ---------------------------------------------------------------------------------------------------- reading

bool Pipeline::has_room() const {
  if (!retry_.empty() || !batcher_.wants_more()) return false;
  if (window_used() + batcher_.read_limit() > kWindow || ledger_.bytes() > kWindowBytes - Batcher::kPageBytes) {
    return false;
  }
  return !memory_.spent() || ledger_.empty();
}

bool Pipeline::may_read() {
  if (letters_first_ || !has_room()) return false;
  if (!at_head_) return true;
  return !once_ && (wakeup_.take() || Clock::now() >= poll_at_);
}

void Pipeline::read() {
  const auto page =
      source_->read(read_to_, batcher_.read_limit(), memory_.spent() ? kPageBytesWhenSpent : Batcher::kPageBytes);
  const auto now = Clock::now();
  at_head_ = !page->full;
  read_to_ = page->end;
  // A page without events may still move the position.
  if (!page->events.empty() || page->before.late || page->end.snapshot != page->before.snapshot)
    batcher_.add(*page, ledger_.add(page));
  memory_held_.set(ledger_.bytes());
  crash_point("after_read");
  if (at_head_ && !seen_head_) {  // what is read from now on was committed in this life: no earlier one has sent it
    seen_head_ = true;
    doubt_end_ = std::min(doubt_end_, ledger_.next_token());
    first_unsent_ = std::min(first_unsent_, ledger_.next_token());
  }
  if (!at_head_ || once_) return;

  rate_events_ += page->events.size();
  const bool window_over = now - rate_since_ >= kRateWindow;
  if (window_over) {
    rate_ = static_cast<double>(rate_events_) / std::chrono::duration<double>(now - rate_since_).count();
    rate_since_ = now;
    rate_events_ = 0;
  }
  if (!page->events.empty()) last_event_ = now;
  if (page->wake_asked && !wake_asked_) asked_xid_ = page->next_xid;
  wake_asked_ = page->wake_asked;
  if (wake_asked_ && window_over && rate_ > kWithdrawAbove) {
    source_->ask_wake(false);
    wake_asked_ = false;
  } else if (!wake_asked_ && window_over && rate_ < kAskBelow) {
    source_->ask_wake(true);  // and read once more: somebody may have committed before the question was seen
  }
  const bool all_notify = xmin(page->snapshot) >= asked_xid_;
  const auto asleep = all_notify && now >= last_event_ + kQuiet ? kPollQuiet : kPollAsked;
  poll_at_ = now + (wake_asked_ ? asleep : rate_ > kBusy ? kPollBusy : kPollLessBusy);
}

bool Pipeline::may_read_letters() {
  if (letters_asked_.exchange(false)) {
    letters_left_ = true;
    letters_after_ = 0;
  }
  return letters_left_ && ledger_.first_token() >= letters_end_ && has_room();
}

void Pipeline::read_letters() {
  const auto page = letters_->read(read_to_, letters_after_, batcher_.read_limit(),
                                   memory_.spent() ? kPageBytesWhenSpent : Batcher::kPageBytes);
  letters_left_ = page->full;
  if (letters_first_) {
    first_unsent_ += page->events.size();
    doubt_end_ += page->events.size();
    letters_first_ = letters_left_ && ledger_.next_token() <= kDoubt;
  }
  if (page->events.empty()) return;
  letters_after_ = page->letter_ids.back();
  batcher_.add(*page, ledger_.add(page));
  letters_end_ = ledger_.next_token();
  memory_held_.set(ledger_.bytes());
  spdlog::info("pipeline '{}': sending {} dead letters again", name_, page->events.size());
}

// After an outage: somebody may have discarded letters meanwhile that are still to be sent.
void Pipeline::forget_discarded_letters() {
  std::map<std::int64_t, std::uint64_t> tokens;
  std::vector<std::int64_t> letters;
  for (auto token = ledger_.first_token(); token < ledger_.next_token(); ++token) {
    const auto letter = ledger_.settled(token) ? 0 : ledger_.letter_id(token);
    if (letter == 0) continue;
    tokens[letter] = token;
    letters.push_back(letter);
  }
  if (letters.empty()) return;
  const auto wanted = letters_->wanted(letters);
  for (const auto& [letter, token] : tokens) {
    if (!wanted.contains(letter)) ledger_.put_back(token);
  }
}

// Nothing to do: sleep until something is published, an offset is to be committed or a poll is due.
void Pipeline::idle(const std::stop_token& stop) {
  pull_acks(milliseconds(0));  // lets the sink keep its connection alive and notice when it is gone
  auto until = std::min(poll_at_, Clock::now() + kKeepAliveEvery);
  if (!ledger_.empty()) until = std::min(until, commit_at_);
  const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
  if (left.count() > 0 && wakeup_.wait_for(left, stop)) poll_at_ = {};
}

// ---------------------------------------------------------------------------------------------------- sending

void Pipeline::publish() {
  auto tokens = batcher_.next();
  const bool stops = config_.settings.on_reject == OnReject::stop;
  if (rendered_.size() < tokens.size()) rendered_.resize(tokens.size());
  messages_.clear();
  std::size_t fields = 0;
  std::size_t headers = 0;
  for (const auto token : tokens) {
    if (ledger_.settled(token)) continue;
    auto& out = rendered_[messages_.size()];
    if (const auto failure = renderer_.render(ledger_.event(token), out)) {
      if (stops && !messages_.empty()) {  // first what stands before it
        const auto at = std::find(tokens.begin(), tokens.end(), token);
        tokens = tokens.first(static_cast<std::size_t>(at - tokens.begin()));
        break;
      }
      reject(token, *failure);
      continue;
    }
    if (out.dropped) {
      ledger_.stored(token, 0);  // nowhere, as its route says
      ++dropped_;
      continue;
    }
    fields += out.fields.size();
    headers += out.headers.size();
    messages_.emplace_back().token = token;
  }
  // The arrays must not move once messages point into them.
  fields_.clear();
  fields_.reserve(fields);
  headers_.clear();
  headers_.reserve(headers);
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    auto& m = messages_[i];
    const auto& e = ledger_.event(m.token);
    m.key = str(rendered_[i].key.empty() ? e.key : rendered_[i].key);
    m.payload = str(rendered_[i].payload.empty() ? e.payload : rendered_[i].payload);
    m.outbox = str(e.outbox);
    m.stream_table = str(e.stream_table);
    m.op = str(e.op);
    m.outbox_id = e.id;
    m.created_at_us = e.created_at_us;
    m.maybe_sent = m.token < first_unsent_ ? 1 : 0;
    m.fields = fields_.data() + fields_.size();
    m.field_count = rendered_[i].fields.size();
    for (const auto& text : rendered_[i].fields) fields_.push_back(str(text));
    m.headers = headers_.data() + headers_.size();
    m.header_count = rendered_[i].headers.size();
    for (const auto& [name, value] : rendered_[i].headers) headers_.push_back({str(name), str(value)});
  }

  std::size_t accepted = 0;
  try {
    if (stops) {
      accepted = publish_singly();
    } else if (!messages_.empty()) {
      accepted = sink_->publish(messages_);
      in_flight_ += accepted;
    }
  } catch (const Error&) {  // how far it came is not known
    first_unsent_ = std::max(first_unsent_, messages_.back().token + 1);
    throw;
  }
  crash_point("mid_publish");
  // Bodies that were made for this batch: what is large is not kept for the next one.
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    if (rendered_[i].payload.capacity() > kKeepPayload) std::string().swap(rendered_[i].payload);
  }
  sink_full_ = accepted < messages_.size();
  if (accepted > 0) first_unsent_ = std::max(first_unsent_, messages_[accepted - 1].token + 1);
  const auto first_left =
      sink_full_ ? std::find(tokens.begin(), tokens.end(), messages_[accepted].token) : tokens.end();
  batcher_.sent(static_cast<std::size_t>(first_left - tokens.begin()));
}

// With on_reject = "stop" nothing may follow what the sink refuses at once: its word is heard after each message.
std::size_t Pipeline::publish_singly() {
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    if (sink_->publish({&messages_[i], 1}) == 0) return i;
    ++in_flight_;
    for (const auto& result : sink_->ack(milliseconds(0))) settle(result);
  }
  return messages_.size();
}

// ---------------------------------------------------------------------------------------------------- outcomes

void Pipeline::pull_acks(milliseconds timeout) {
  const auto results = sink_->ack(timeout);
  sink_full_ = sink_full_ && results.empty() && in_flight_ > 0;
  for (const auto& result : results) settle(result);
}

void Pipeline::settle(const tide_result& result) {
  const auto token = result.token;
  if (token < ledger_.first_token() || token >= ledger_.next_token() || ledger_.settled(token) ||
      retry_.contains(token)) {
    throw SinkFatal("sink " + plugin_->id + ": it gave a result for token " + std::to_string(token) +
                    ", which is not in flight; the plugin is faulty (rule R17)");
  }
  --in_flight_;
  const std::string error =
      Sink::told(result.error.data == nullptr ? "" : std::string_view(result.error.data, result.error.size));
  switch (result.status) {
    case TIDE_STORED:
      if ((result.flags & TIDE_RESULT_DUPLICATE) != 0) duplicate(token);
      ledger_.stored(token, result.sink_position);
      backoff_.reset();
      slow_backoff_.reset();
      retries_without_progress_ = 0;
      left_before_ = false;
      break;
    case TIDE_RETRY:
      retry_.insert(token);
      retry_error_ = error;
      break;
    case TIDE_REJECTED:
      reject(token, error);
      break;
    case TIDE_FATAL:
      throw SinkFatal("sink " + plugin_->id + ": event " + std::to_string(ledger_.event(token).id) + ": " + error);
    default:
      throw SinkFatal("sink " + plugin_->id + ": it gave the status " + std::to_string(result.status) +
                      ", which does not exist; the plugin is faulty (rule R18)");
  }
}

void Pipeline::reject(std::uint64_t token, const std::string& error) {
  const auto& event = ledger_.event(token);
  const auto text = "event " + std::to_string(event.id) + " (key " + std::string(event.key) + "): " + error;
  // A letter was set aside before, and holds nobody's place: it stops nothing.
  const bool again = ledger_.letter_id(token) != 0;
  if (config_.settings.on_reject == OnReject::stop && !again) {
    throw SinkFatal(text + "; the pipeline stops there, as on_reject = \"stop\" says");
  }
  spdlog::error("pipeline '{}': {}; it {} tide.dead_letters", name_, text, again ? "stays in" : "goes to");
  RenderedMessage rendered;
  const bool failed = renderer_.render(event, rendered).has_value();
  ledger_.rejected(token, failed || rendered.fields.empty() ? std::string() : rendered.fields.front(), error);
}

// An event that was certainly never sent before, and yet the sink has its key: another event used it.
void Pipeline::duplicate(std::uint64_t token) {
  if (token < doubt_end_ || sent_again_.contains(token)) return;
  ++shared_keys_;
  const auto now = Clock::now();
  if (now < tell_shared_keys_at_) return;
  tell_shared_keys_at_ = now + kTellEvery;
  const auto& event = ledger_.event(token);
  spdlog::warn(
      "pipeline '{}': the sink already had the message id of event {} (key {}), which was never sent before, and did "
      "not "
      "store it: two events share one key, or another pipeline sends the same events there ({} such events so far). In "
      "the latter case give one of them ids of its own: \"message_id\": \"{{dedup_key}}/{}\"",
      name_, event.id, event.key, shared_keys_, name_);
}

void Pipeline::tell_dropped() {
  if (dropped_ == dropped_told_) return;
  dropped_told_ = dropped_;
  tell_dropped_at_ = Clock::now() + kTellEvery;
  spdlog::info("pipeline '{}': {} events were dropped by routes so far", name_, dropped_);
}

// What the sink could not take for now goes out again, before anything else, once all that was sent has its result:
// so later events do not run ahead any further.
void Pipeline::send_again(const std::stop_token& stop) {
  if (once_ && ++retries_without_progress_ > kOnceTries) throw SinkDown("sink " + plugin_->id + ": " + retry_error_);
  const auto pause = backoff_.next();
  spdlog::warn("pipeline '{}': {} of the events in flight were not stored: {}; sent again in {} ms", name_,
               retry_.size(), retry_error_, pause.count());
  note("retrying", retry_error_);
  const auto until = Clock::now() + pause;
  while (Clock::now() < until && !stop.stop_requested()) {
    sleep_for(std::min(std::chrono::ceil<milliseconds>(until - Clock::now()), milliseconds(500)), stop);
    pull_acks(milliseconds(0));
  }
  const std::vector<std::uint64_t> tokens(retry_.begin(), retry_.end());
  batcher_.again(tokens);
  sent_again_.insert(tokens.begin(), tokens.end());
  retry_.clear();
  note("running");
}

// The connection broke: all that has no result goes out again, in order.
void Pipeline::requeue_everything() {
  sink_.reset();
  crash_point("after_outage");
  commit();
  batcher_.clear();
  std::vector<std::uint64_t> tokens;
  for (auto token = ledger_.first_token(); token < ledger_.next_token(); ++token) {
    if (!ledger_.settled(token)) tokens.push_back(token);
  }
  batcher_.again(tokens);
  sent_again_.insert(tokens.begin(), tokens.end());
  retry_.clear();
  in_flight_ = 0;
  sink_full_ = false;
}

// ---------------------------------------------------------------------------------------------------- progress

void Pipeline::stand_at(std::uint64_t sink_position) {
  const auto progress = ledger_.stand_at(sink_position);
  offsets_.commit(offset_id_, progress);
  sink_position_ = progress.sink_position();
}

bool Pipeline::commit() {
  commit_at_ = Clock::now() + kCommitEvery;
  if (Clock::now() >= tell_dropped_at_) tell_dropped();
  const auto progress = ledger_.acknowledge();
  if (!progress) return false;
  memory_held_.set(ledger_.bytes());
  crash_point("after_ack_before_commit");
  offsets_.commit(offset_id_, *progress);
  sink_position_ = progress->sink_position();
  sent_again_.erase(sent_again_.begin(), sent_again_.lower_bound(ledger_.first_token()));
  return true;
}

void Pipeline::note(const std::string& state, const std::string& error) {
  if (state == noted_state_ && error == noted_error_) return;
  noted_state_ = state;
  noted_error_ = error;
  offsets_.note(offset_id_, state, error);
}

// Not cut short by wake(): an outage does not end because something was published.
void Pipeline::sleep_for(milliseconds time, const std::stop_token& stop) {
  const auto until = Clock::now() + time;
  while (!stop.stop_requested()) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    if (left.count() <= 0) return;
    wakeup_.wait_for(left, stop);
  }
}

}  // namespace tide
