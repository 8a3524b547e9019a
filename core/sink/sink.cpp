#include "sink/sink.hpp"

#include <algorithm>
#include <deque>

#include "base/log.hpp"
#include "base/value.hpp"
#include "sink/plugin_call.hpp"

namespace tide {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kResults = 1024;
constexpr std::uint32_t kCloseDeadlineMs = 5000;
constexpr milliseconds kPublishLimit{10'000};
constexpr milliseconds kGrace{5000};  // beyond a deadline that the plugin was told
constexpr std::chrono::seconds kSilence{10};

tide_str str(std::string_view text) {
  return {text.data(), text.size()};
}

tide_error blank_error() {
  tide_error error;
  error.struct_size = sizeof error;
  error.size = 0;
  error.native_code = 0;
  return error;
}

}  // namespace

template <class Operation>
std::int32_t Sink::call(const char* name, milliseconds limit, Operation operation) const {
  const PluginCall now(*plugin_, name, pipeline_, limit);
  try {
    return operation();
  } catch (...) {
    refuse(std::string("an exception left its ") + name + "()", "R8");
  }
}

Sink::Sink(std::shared_ptr<const Plugin> plugin, const std::string& pipeline, const std::vector<OptionValue>& values,
           std::uint64_t sink_position, std::chrono::milliseconds deadline)
    : plugin_(std::move(plugin)), pipeline_(pipeline), results_(kResults) {
  host_.struct_size = sizeof host_;
  host_.abi_minor = TIDE_SINK_ABI_MINOR;
  host_.ctx = this;
  host_.log = &Sink::log;
  host_.get_extension = [](void*, const char*) -> const void* { return nullptr; };

  std::vector<tide_value> views;
  views.reserve(values.size());
  std::deque<std::vector<tide_str>> alternatives;
  for (const auto& v : values) {
    auto& others = alternatives.emplace_back();
    for (const auto& text : v.alternatives) others.push_back(str(text));
    views.push_back({str(v.name), v.type, v.is_set ? 1u : 0u, str(v.string), v.integer, others.data(), others.size()});
  }
  tide_config config{};
  config.struct_size = sizeof config;
  config.value_size = sizeof(tide_value);
  config.values = views.data();
  config.value_count = views.size();
  config.pipeline = str(pipeline_);
  config.deadline_ms = static_cast<std::uint32_t>(deadline.count());
  config.sink_position = sink_position;

  auto error = blank_error();
  void* instance = nullptr;
  raise(call("connect", deadline + kGrace, [&] { return plugin_->ops.connect(&host_, &config, &instance, &error); }),
        error, "connect");
  instance_ = instance;
}

Sink::~Sink() {
  if (instance_ == nullptr) return;
  try {
    call("close", milliseconds(kCloseDeadlineMs) + kGrace, [&] {
      plugin_->ops.close(instance_, kCloseDeadlineMs);
      return TIDE_OK;
    });
  } catch (const SinkFatal& e) {
    spdlog::error("pipeline '{}': {}", pipeline_, e.what());
  }
}

std::size_t Sink::publish(std::span<const tide_message> messages) {
  const tide_batch batch{sizeof(tide_batch), sizeof(tide_message), messages.data(), messages.size()};
  auto error = blank_error();
  std::uint64_t accepted = 0;
  raise(call("publish", kPublishLimit, [&] { return plugin_->ops.publish(instance_, &batch, &accepted, &error); }),
        error, "publish");
  if (accepted > messages.size()) {
    refuse("it says that it took " + std::to_string(accepted) + " of " + std::to_string(messages.size()) + " messages",
           "R14");
  }
  if (accepted > 0) {
    last_token_ = std::max(last_token_, messages[accepted - 1].token);
    if (in_flight_ == 0) heard();
    in_flight_ += accepted;
  }
  return accepted;
}

std::span<const tide_result> Sink::ack(std::chrono::milliseconds timeout) {
  raise(broken_, broken_error_, "ack");
  auto error = blank_error();
  std::uint64_t count = 0;
  const auto status = call("ack", timeout + kGrace, [&] {
    return plugin_->ops.ack(instance_, results_.data(), sizeof(tide_result), results_.size(),
                            static_cast<std::uint32_t>(timeout.count()), &count, &error);
  });
  if (count > results_.size()) {
    refuse("it says that it gave " + std::to_string(count) + " results where " + std::to_string(results_.size()) +
               " were asked for",
           "R16");
  }
  if (count == 0) raise(status, error, "ack");
  broken_ = status;
  broken_error_ = error;
  const std::span<const tide_result> results(results_.data(), static_cast<std::size_t>(count));
  check(results);
  return results;
}

// What the ledger can not know: which tokens this instance was ever given.
void Sink::check(std::span<const tide_result> results) {
  for (const auto& result : results) {
    if (result.token > last_token_) {
      refuse("it gave a result for token " + std::to_string(result.token) + ", which it was never given", "R17");
    }
  }
  in_flight_ -= std::min(in_flight_, results.size());
  if (!results.empty() || in_flight_ == 0) {
    heard();
  } else if (Clock::now() - heard_at_ >= tell_after_) {
    spdlog::warn(
        "pipeline '{}': {}no result for any of {} messages for {} s; the plugin {} waits for its sink, or is "
        "faulty (rule R20)",
        pipeline_, prefix(), in_flight_, tell_after_.count(), plugin_->file.string());
    tell_after_ *= 2;
  }
}

void Sink::heard() {
  heard_at_ = Clock::now();
  tell_after_ = kSilence;
}

void Sink::refuse(const std::string& fault, const char* rule) const {
  throw SinkFatal(prefix() + fault + "; the plugin " + plugin_->file.string() + " is faulty (rule " + rule + ")");
}

std::string Sink::told(std::string_view text) {
  constexpr std::size_t kLongest = 4096;
  return printable(text, kLongest);
}

std::string Sink::prefix() const {
  return "sink " + plugin_->id + ": ";
}

void Sink::raise(std::int32_t status, const tide_error& error, const char* call) const {
  if (status == TIDE_OK) return;
  std::string text = told({error.text, std::min<std::size_t>(error.size, sizeof error.text)});
  if (text.empty()) text = std::string(call) + " failed without a word";
  if (status == TIDE_RETRY) throw SinkDown(prefix() + text);
  if (status == TIDE_RECONNECT && instance_ != nullptr) throw SinkLeaves(prefix() + text);
  throw SinkFatal(prefix() + text);
}

void Sink::log(void* ctx, std::int32_t level, tide_str text) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};
  const auto* sink = static_cast<const Sink*>(ctx);
  spdlog::log(kLevels[std::clamp(level, 0, 3)], "pipeline '{}': {}", sink->pipeline_,
              told(text.data == nullptr ? std::string_view() : std::string_view(text.data, text.size)));
}

}  // namespace tide
