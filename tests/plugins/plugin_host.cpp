#include "plugin_host.hpp"

#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <stdexcept>
#include <string_view>

namespace tide::test {
namespace {

// Larger than the plugin knows, as a newer relay's would be: the plugin must go by the sizes it is told.
template <class T>
struct Grown {
  T known{};
  std::uint64_t news = ~0ull;
};

tide_str str(const std::string& text) {
  return {text.data(), text.size()};
}
std::string text(tide_str string) {
  return string.size == 0 ? "" : std::string(string.data, string.size);
}
std::string text(const tide_error& error) {
  return {error.text, error.size};
}

std::uint64_t template_options() {
  std::uint64_t count = 0;
  for (std::uint64_t i = 0; i < plugin().option_count; ++i)
    if ((plugin().options[i].flags & TIDE_OPTION_TEMPLATE) != 0) ++count;
  return count;
}

tide_error empty_error() {
  tide_error error{};
  error.struct_size = sizeof error;
  return error;
}

void append_line(void* log, std::int32_t, tide_str line) {
  *static_cast<std::string*>(log) += text(line) + "\n";
}
const void* no_extension(void*, const char*) {
  return nullptr;
}

// The alternatives' texts go to others, which must live as long.
std::vector<Grown<tide_value>> values_of(const Options& options, std::deque<std::vector<tide_str>>& others) {
  std::vector<Grown<tide_value>> values;
  for (std::uint64_t i = 0; i < plugin().option_count; ++i) {
    const tide_option& option = plugin().options[i];
    tide_value& value = values.emplace_back().known;
    value.name = {option.name, std::string_view(option.name).size()};
    value.type = option.type;
    if (const auto set = options.find(option.name); set != options.end()) {
      value.is_set = 1;
      if (const auto* string = std::get_if<std::string>(&set->second))
        value.string = str(*string);
      else if (const auto* integer = std::get_if<std::int64_t>(&set->second))
        value.integer = *integer;
      else if (const auto* texts = std::get_if<std::vector<std::string>>(&set->second)) {
        value.string = str(texts->front());
        auto& rest = others.emplace_back();
        for (std::size_t t = 1; t < texts->size(); ++t) rest.push_back(str((*texts)[t]));
        value.alternatives = rest.data();
        value.alternative_count = rest.size();
      } else
        value.integer = std::get<bool>(set->second) ? 1 : 0;
    } else if (option.default_value != nullptr) {
      const std::string_view text = option.default_value;
      value.is_set = 1;
      if (option.type == TIDE_TYPE_INT)
        value.integer = std::stoll(option.default_value);
      else if (option.type == TIDE_TYPE_BOOL)
        value.integer = text == "true" ? 1 : 0;
      else
        value.string = {text.data(), text.size()};
    }
  }
  return values;
}

}  // namespace

const tide_sink& plugin() {
  static const tide_sink* const loaded = [] {
    const char* path = std::getenv("TIDE_TEST_PLUGIN");
    if (path == nullptr) throw std::runtime_error("TIDE_TEST_PLUGIN names no plugin");
    void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    const auto entry = reinterpret_cast<tide_sink_v1_fn>(::dlsym(library, TIDE_SINK_ENTRY));
    if (entry == nullptr) throw std::runtime_error(::dlerror());
    return entry();
  }();
  return *loaded;
}

Instance::Instance(const Options& options, std::chrono::milliseconds deadline, std::uint64_t sink_position)
    : host_{sizeof(tide_host), TIDE_SINK_ABI_MINOR, log_.get(), append_line, no_extension} {
  std::deque<std::vector<tide_str>> others;
  const auto values = values_of(options, others);
  const std::string pipeline = "test-pipeline";
  tide_config config{};
  config.struct_size = sizeof config;
  config.value_size = sizeof values[0];
  config.values = &values.data()->known;
  config.value_count = values.size();
  config.pipeline = str(pipeline);
  config.deadline_ms = static_cast<std::uint32_t>(deadline.count());
  config.sink_position = sink_position;
  tide_error error = empty_error();
  connected_.status = plugin().ops->connect(&host_, &config, &instance_, &error);
  connected_.error = text(error);
  if (instance_ != nullptr) ack(std::chrono::milliseconds(0));
}

Instance::~Instance() {
  close();
}

void Instance::close(std::chrono::milliseconds deadline) {
  if (instance_ != nullptr) plugin().ops->close(instance_, static_cast<std::uint32_t>(deadline.count()));
  instance_ = nullptr;
}

std::uint64_t Instance::publish(const std::vector<Event>& events) {
  std::vector<Grown<tide_message>> messages(events.size());
  std::vector<std::array<tide_str, 3>> fields(events.size());
  std::vector<std::vector<tide_header>> headers(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const Event& event = events[i];
    fields[i] = {str(event.subject), str(event.order), str(event.third)};
    for (const auto& [name, value] : event.headers) headers[i].push_back({str(name), str(value)});
    tide_message& message = messages[i].known;
    message.token = last_token_ + 1 + i;
    message.key = str(event.key);
    message.payload = str(event.payload);
    message.fields = fields[i].data();
    message.field_count = template_options();
    message.outbox = message.stream_table = str(event.outbox);
    message.op = str(event.op);
    message.outbox_id = event.outbox_id;
    message.created_at_us = event.created_at_us;
    message.headers = headers[i].data();
    message.header_count = headers[i].size();
    message.maybe_sent = event.maybe_sent ? 1 : 0;
  }
  if (instance_ == nullptr) throw std::runtime_error("it is not connected: " + connected_.error);
  const tide_batch batch{sizeof batch, sizeof messages[0], &messages.data()->known, messages.size()};
  tide_error error = empty_error();
  std::uint64_t accepted = 0;
  outcome_.status = plugin().ops->publish(instance_, &batch, &accepted, &error);
  outcome_.error = text(error);
  last_token_ += accepted;
  return accepted;
}

std::map<std::uint64_t, Result> Instance::ack(std::chrono::milliseconds timeout, std::uint64_t capacity) {
  if (instance_ == nullptr) throw std::runtime_error("it is not connected: " + connected_.error);
  std::vector<Grown<tide_result>> out(capacity);
  tide_error error = empty_error();
  std::uint64_t count = 0;
  outcome_.status = plugin().ops->ack(instance_, &out.data()->known, sizeof out[0], capacity,
                                      static_cast<std::uint32_t>(timeout.count()), &count, &error);
  outcome_.error = text(error);
  std::map<std::uint64_t, Result> results;
  for (std::uint64_t i = 0; i < count; ++i) {
    const tide_result& known = out[i].known;
    if (known.token == 0) {
      if (standing_ || last_token_ != 0) throw std::runtime_error("it told again, or too late, where it stands");
      standing_ = known.sink_position;
      continue;
    }
    const bool duplicate = (known.flags & TIDE_RESULT_DUPLICATE) != 0;
    const Result result{known.status, duplicate, known.native_code, known.sink_position, text(known.error)};
    if (!results.emplace(known.token, result).second) throw std::runtime_error("a second result for one token");
  }
  return results;
}

std::vector<Result> Instance::deliver(const std::vector<Event>& events) {
  std::vector<Result> results(events.size());
  const std::uint64_t before = last_token_;
  std::size_t published = 0;
  std::size_t settled = 0;
  while (settled < events.size()) {
    if (published < events.size()) {
      published += publish({events.begin() + static_cast<std::ptrdiff_t>(published), events.end()});
      if (outcome_.status != TIDE_OK) return results;
    }
    for (auto& [token, result] : ack(std::chrono::milliseconds(1000))) {
      results.at(token - before - 1) = std::move(result);
      ++settled;
    }
    if (outcome_.status != TIDE_OK) return results;
  }
  return results;
}

}  // namespace tide::test
