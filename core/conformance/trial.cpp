#include "conformance/trial.hpp"

#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <ctime>

#include "conformance/findings.hpp"
#include "sink/plugin_call.hpp"

namespace tide::conformance {

namespace {

using Clock = std::chrono::steady_clock;

// An element as a newer minor has it.
template <class T>
struct Longer {
  T known{};
  std::uint64_t news = ~0ULL;
};

tide_str str(std::string_view text) {
  return {text.data(), text.size()};
}

std::string text_of(tide_str text) {
  return text.data == nullptr ? std::string() : std::string(text.data, static_cast<std::size_t>(text.size));
}

tide_error blank_error() {
  tide_error error{};
  error.struct_size = sizeof error;
  return error;
}

constexpr std::int32_t kThrew = -1;  // no status at all

// A call and how long it may take; what leaves it as an exception breaks R8.
template <class Call>
std::int32_t timed(const Plugin& plugin, const char* name, const char* rule, milliseconds limit, Call call) {
  static const std::string none = "plugins-test";
  const auto begin = Clock::now();
  std::int32_t status = TIDE_FATAL;
  try {
    const PluginCall now(plugin, name, none, limit + kSlack);
    status = call();
  } catch (...) {
    broken("R8", std::string("an exception left ") + name + "()");
    return kThrew;
  }
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
  if (took > limit + kSlack) {
    broken(rule, std::string(name) + "() took " + std::to_string(took.count()) + " ms, where it may take " +
                     std::to_string(limit.count()) + " ms");
  }
  return status;
}

}  // namespace

struct Trial::Grown {
  Longer<tide_host> host;
  std::string log;
};

std::vector<Message> make_messages(std::size_t count, std::size_t payload_size) {
  static const std::string run = std::to_string(std::time(nullptr)) + '-' + std::to_string(::getpid());
  static std::atomic<std::int64_t> next = std::time(nullptr) * 1'000'000;
  std::vector<Message> messages(count);
  for (auto& m : messages) {
    m.id = ++next;
    m.key = "plugins-test/" + run + '/' + std::to_string(m.id);
    m.payload = R"({"n": )" + std::to_string(m.id);
    if (payload_size > m.payload.size() + 12)
      m.payload += R"(, "text": ")" + std::string(payload_size - m.payload.size() - 12, 'x') + '"';
    m.payload += '}';
  }
  return messages;
}

Trial::Trial(const Plugin& plugin, const SinkConfig& config, std::uint64_t sink_position, milliseconds deadline)
    : plugin_(plugin), config_(config), renderer_(config.rendering), host_(std::make_unique<Grown>()) {
  auto& host = host_->host.known;
  host.struct_size = sizeof host_->host;
  host.abi_minor = TIDE_SINK_ABI_MINOR;
  host.ctx = this;
  host.log = [](void* ctx, std::int32_t /*level*/, tide_str text) {
    static_cast<Trial*>(ctx)->told(text_of(text), "its log");
  };
  host.get_extension = [](void*, const char*) -> const void* { return nullptr; };

  std::vector<Longer<tide_value>> values(config.values.size());
  std::vector<std::vector<tide_str>> alternatives(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto& v = config.values[i];
    for (const auto& text : v.alternatives) alternatives[i].push_back(str(text));
    values[i].known = {str(v.name),           v.type,    v.is_set ? 1U : 0U,
                       str(v.string),         v.integer, alternatives[i].data(),
                       alternatives[i].size()};
  }
  Longer<tide_config> theirs;
  theirs.known.struct_size = sizeof theirs;
  theirs.known.value_size = sizeof(Longer<tide_value>);
  theirs.known.values = &values.data()->known;
  theirs.known.value_count = values.size();
  theirs.known.pipeline = str("plugins-test");
  theirs.known.deadline_ms = static_cast<std::uint32_t>(deadline.count());
  theirs.known.sink_position = sink_position;
  auto error = blank_error();
  void* const untouched = &error;
  void* instance = untouched;
  status_ = timed(plugin_, "connect", "R10", deadline,
                  [&] { return plugin_.ops.connect(&host, &theirs.known, &instance, &error); });
  if (status_ == TIDE_OK) {
    if (instance == untouched) {
      broken("R11", "connect() returned TIDE_OK and set no instance");
      status_ = TIDE_FATAL;
    } else {
      instance_ = instance;
      ack(milliseconds(0));  // as the relay does, before it publishes anything
    }
    return;
  }
  if (instance != untouched) broken("R11", "connect() failed and set an instance");
  ended(status_, error, "connect", false);
}

Trial::~Trial() {
  close();
}

// Whatever a plugin says to people.
void Trial::told(const std::string& text, const char* where) {
  if (!simdjson::validate_utf8(text)) broken("R12", std::string(where) + " is not UTF-8");
  auto option = plugin_.options.begin();
  for (const auto& value : config_.values) {
    const bool secret = (option++)->secret();
    if (secret && value.string.size() >= 6 && text.find(value.string) != std::string::npos)
      broken("R25", std::string(where) + " shows the value of the secret option '" + value.name + "'");
  }
}

std::int32_t Trial::ended(std::int32_t status, const tide_error& error, const char* name, bool may_reconnect) {
  status_ = status;
  if (status == TIDE_OK || status == kThrew) return status;
  const std::string call = std::string(name) + "()";
  if (status != TIDE_RETRY && status != TIDE_FATAL && !(may_reconnect && status == TIDE_RECONNECT))
    broken(may_reconnect ? "R18" : "R11", call + " returned " + std::to_string(status) + ", which it must not");
  if (error.size > TIDE_ERROR_CAPACITY) {
    broken("R12", call + " says that its error text has " + std::to_string(error.size) + " bytes");
    return status;
  }
  error_.assign(error.text, error.size);
  if (error_.empty()) broken("R12", call + " failed and did not say why");
  told(error_, ("the error text of " + call).c_str());
  return status;
}

std::size_t Trial::publish(const std::vector<Message>& messages, std::size_t from, std::size_t count, bool maybe_sent) {
  if (!lives()) return 0;
  count = std::min(count, messages.size() - from);
  std::vector<RenderedMessage> rendered(count);
  std::vector<Longer<tide_message>> batch(count);
  std::vector<std::vector<tide_str>> fields(count);
  std::vector<std::vector<tide_header>> headers(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& m = messages[from + i];
    Event event{m.id, m.id, "plugins_test", "plugins_test", "insert", m.key, m.headers, m.payload};
    if (const auto failure = renderer_.render(event, rendered[i])) throw Error("a message of the test: " + *failure);
    if (rendered[i].dropped) throw Error("the configuration's routes drop a message of the test; leave them out");
    for (const auto& text : rendered[i].fields) fields[i].push_back(str(text));
    for (const auto& [name, value] : rendered[i].headers) headers[i].push_back({str(name), str(value)});
    auto& out = batch[i].known;
    out.token = last_token_ + 1 + i;
    out.key = str(rendered[i].key.empty() ? m.key : rendered[i].key);
    out.payload = str(rendered[i].payload.empty() ? m.payload : rendered[i].payload);
    out.fields = fields[i].data();
    out.field_count = fields[i].size();
    out.headers = headers[i].data();
    out.header_count = headers[i].size();
    out.outbox = out.stream_table = str("plugins_test");
    out.op = str("insert");
    out.outbox_id = m.id;
    out.created_at_us = static_cast<std::int64_t>(std::time(nullptr)) * 1'000'000;
    out.maybe_sent = maybe_sent ? 1 : 0;
  }
  Longer<tide_batch> theirs;
  theirs.known = {sizeof theirs, sizeof batch[0], &batch.data()->known, count};
  auto error = blank_error();
  std::uint64_t accepted = 0;
  const auto status = timed(plugin_, "publish", "R14", milliseconds(5000),
                            [&] { return plugin_.ops.publish(instance_, &theirs.known, &accepted, &error); });
  // What the plugin kept a pointer to is gone now (R13), and looks it.
  std::memset(static_cast<void*>(batch.data()), 0xdd, count * sizeof batch[0]);
  if (accepted > count) {
    broken("R14", "publish() took " + std::to_string(accepted) + " of " + std::to_string(count) + " messages");
    accepted = count;
  }
  for (std::uint64_t i = 0; i < accepted; ++i) in_flight_.insert(++last_token_);
  ended(status, error, "publish", true);
  return static_cast<std::size_t>(accepted);
}

std::size_t Trial::ack(milliseconds timeout, std::size_t capacity) {
  if (!lives()) return 0;
  std::vector<Longer<tide_result>> out(capacity);
  std::memset(static_cast<void*>(out.data()), 0xdd, capacity * sizeof out[0]);
  auto error = blank_error();
  std::uint64_t count = 0;
  const auto status = timed(plugin_, "ack", "R16", timeout, [&] {
    return plugin_.ops.ack(instance_, &out.data()->known, sizeof out[0], capacity,
                           static_cast<std::uint32_t>(timeout.count()), &count, &error);
  });
  if (count > capacity) {
    broken("R16",
           "ack() gave " + std::to_string(count) + " results where " + std::to_string(capacity) + " were asked for");
    count = capacity;
  }
  for (std::uint64_t i = 0; i < count; ++i) take(out[i].known);
  acked_ = true;
  ended(status, error, "ack", true);
  return static_cast<std::size_t>(count);
}

void Trial::take(const tide_result& result) {
  const auto token = "token " + std::to_string(result.token);
  if (result.token == 0) {
    if (acked_ || last_token_ > 0 || result.status != TIDE_STORED)
      broken("R19",
             "a result with token 0 came later than with the first ack, or with another status than TIDE_STORED");
    position_ = result.sink_position;
    return;
  }
  if (in_flight_.erase(result.token) == 0) {
    broken("R17", settled_.contains(result.token) ? "a second result came for " + token
                                                  : "a result came for " + token + ", which was never accepted");
    return;
  }
  if (result.status < TIDE_STORED || result.status > TIDE_FATAL) {
    broken("R18", "the result for " + token + " has the status " + std::to_string(result.status));
  } else if (result.status != TIDE_STORED) {
    const auto why = text_of(result.error);
    if (why.empty()) broken("R18", token + " was not stored, and its result does not say why");
    told(why, "the error text of a result");
    error_ = why;
  }
  settled_[result.token] = {result.status, result.flags, result.sink_position};
  if (result.status != TIDE_STORED || result.sink_position == 0 || (result.flags & TIDE_RESULT_DUPLICATE) != 0) return;
  if (result.token > last_stored_ && result.sink_position < position_) {
    broken("R24", "the position of " + token + " is " + std::to_string(result.sink_position) +
                      ", less than that of a message before it, " + std::to_string(position_));
  }
  if (result.token > last_stored_) {
    last_stored_ = result.token;
    position_ = std::max(position_, result.sink_position);
  }
}

bool Trial::deliver(const std::vector<Message>& messages, std::size_t batch, bool maybe_sent) {
  std::size_t sent = 0;
  auto until = Clock::now() + kPatience;
  while (lives() && sent < messages.size() && !any_broken()) {
    const auto taken = publish(messages, sent, batch, maybe_sent);
    sent += taken;
    const auto results = ack(taken < batch && sent < messages.size() ? milliseconds(5) : milliseconds(0));
    if (taken + results > 0) until = Clock::now() + kPatience;
    if (sent < messages.size() && Clock::now() > until) {
      broken("R15", "publish() took " + std::to_string(sent) + " of " + std::to_string(messages.size()) +
                        " messages, and no more for " + std::to_string(kPatience.count() / 1000) + " s");
      return false;
    }
  }
  return settle();
}

bool Trial::settle() {
  auto until = Clock::now() + kPatience;
  while (lives() && !in_flight_.empty() && !any_broken()) {
    if (ack(milliseconds(100)) > 0) until = Clock::now() + kPatience;
    if (Clock::now() > until) {
      broken("R20", std::to_string(in_flight_.size()) + " of " + std::to_string(last_token_) +
                        " messages have no result, and none came for " + std::to_string(kPatience.count() / 1000) +
                        " s");
      return false;
    }
  }
  return lives();
}

void Trial::close(milliseconds deadline) {
  if (instance_ == nullptr) return;
  timed(plugin_, "close", "R21", deadline, [&] {
    plugin_.ops.close(std::exchange(instance_, nullptr), static_cast<std::uint32_t>(deadline.count()));
    return TIDE_OK;
  });
}

std::string Trial::outcomes() const {
  static constexpr const char* kNames[] = {"stored", "retry", "rejected", "fatal"};
  std::size_t counts[4] = {};
  for (const auto& [token, result] : settled_) {
    if (result.status >= 0 && result.status < 4) ++counts[result.status];
  }
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) {
    if (counts[i] > 0) text += (text.empty() ? "" : ", ") + std::to_string(counts[i]) + ' ' + kNames[i];
  }
  return text;
}

}  // namespace tide::conformance
