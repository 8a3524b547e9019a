// SPDX-License-Identifier: Apache-2.0
//
// Comfort for sink plugins in C++20, over the C interface of sink.h. Header-only; needs nothing but the standard
// library. A plugin is one class:
//
//   class MySink {
//    public:
//     static constexpr tide::SinkInfo info{.id = "my_sink", .sink_types = "mine", .version = "1.0.0", ...};
//     MySink(tide::Host host, const tide::Config& config);                       // connects, or throws tide::Error
//     std::size_t publish(const tide::Batch& batch);                             // how many it took, in order
//     void ack(tide::Results& results, std::chrono::milliseconds timeout);       // adds what is known by now
//     void close(std::chrono::milliseconds deadline);                            // optional; the destructor follows
//   };
//   TIDE_EXPORT_SINK(MySink)
//
// Threads: the relay serialises the calls on one instance, from changing threads; instances run at the same time.
// Errors: throw tide::Error::retry, fatal or reconnect. Every other exception becomes TIDE_FATAL; none crosses.
#ifndef TIDE_SINK_HPP
#define TIDE_SINK_HPP

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tide/sink.h"

namespace tide {

inline std::string_view view(tide_str text) {
  return text.size == 0 ? std::string_view{} : std::string_view{text.data, static_cast<std::size_t>(text.size)};
}

inline tide_str str(std::string_view text) {
  return {text.data(), text.size()};
}

// Ends a call, and with it the instance: retry for an outage, fatal for wrong configuration or rights, reconnect (not
// from the constructor) for a server that takes its leave. The text says what was tried, on what, what the server said
// and what to do next.
class Error : public std::runtime_error {
 public:
  static Error retry(const std::string& text, std::int64_t native_code = 0) { return {TIDE_RETRY, text, native_code}; }
  static Error fatal(const std::string& text, std::int64_t native_code = 0) { return {TIDE_FATAL, text, native_code}; }
  static Error reconnect(const std::string& text) { return {TIDE_RECONNECT, text, 0}; }

  std::int32_t status() const noexcept { return status_; }
  std::int64_t native_code() const noexcept { return native_code_; }

 private:
  Error(std::int32_t status, const std::string& text, std::int64_t native_code)
      : std::runtime_error(text), status_(status), native_code_(native_code) {}

  std::int32_t status_;
  std::int64_t native_code_;
};

// The relay's log. A small handle: copy it freely; the relay outlives every instance. Any thread.
class Host {
 public:
  explicit Host(const tide_host* host) : host_(host) {}

  void debug(std::string_view text) const { log(TIDE_LOG_DEBUG, text); }
  void info(std::string_view text) const { log(TIDE_LOG_INFO, text); }
  void warn(std::string_view text) const { log(TIDE_LOG_WARN, text); }
  void error(std::string_view text) const { log(TIDE_LOG_ERROR, text); }
  const void* extension(const char* name) const { return host_->get_extension(host_->ctx, name); }

 private:
  void log(std::int32_t level, std::string_view text) const { host_->log(host_->ctx, level, str(text)); }

  const tide_host* host_;
};

// An array whose elements may be larger than this build knows: walks it by the sender's element size.
template <class T>
class Strided {
 public:
  class Iterator {
   public:
    using difference_type = std::ptrdiff_t;
    using value_type = T;

    Iterator() = default;
    Iterator(const std::byte* at, std::size_t stride) : at_(at), stride_(stride) {}

    const T& operator*() const { return *reinterpret_cast<const T*>(at_); }
    const T* operator->() const { return &**this; }
    Iterator& operator++() {
      at_ += stride_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const std::byte* at_ = nullptr;
    std::size_t stride_ = 0;
  };

  // Throws a fatal Error when the elements are too small to hold a T.
  Strided(const T* first, std::uint64_t count, std::uint32_t stride)
      : first_(reinterpret_cast<const std::byte*>(first)), count_(static_cast<std::size_t>(count)), stride_(stride) {
    if (count_ != 0 && stride_ < sizeof(T)) throw Error::fatal("this relay is older than the plugin's interface");
  }

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  const T& operator[](std::size_t i) const { return *Iterator(first_ + i * stride_, stride_); }
  Iterator begin() const { return {first_, stride_}; }
  Iterator end() const { return {first_ + count_ * stride_, stride_}; }

 private:
  const std::byte* first_;
  std::size_t count_;
  std::size_t stride_;
};

// The events of one publish call, in order. Valid until publish returns.
using Batch = Strided<tide_message>;

inline std::span<const tide_str> fields(const tide_message& message) {
  return {message.fields, static_cast<std::size_t>(message.field_count)};
}

inline std::span<const tide_header> headers(const tide_message& message) {
  return {message.headers, static_cast<std::size_t>(message.header_count)};
}

// The sink's configuration, by option name. Valid until the constructor returns: copy what is needed longer.
class Config {
 public:
  explicit Config(const tide_config& config)
      : config_(&config), values_(config.values, config.value_count, config.value_size) {}

  // Empty, 0 and false stand for an option that is neither set nor defaulted.
  std::string_view text(std::string_view option) const { return view(find(option).string); }
  std::int64_t integer(std::string_view option) const { return find(option).integer; }
  bool flag(std::string_view option) const { return find(option).integer != 0; }
  bool is_set(std::string_view option) const { return find(option).is_set != 0; }

  // Every text that a template option can have: more than one where the pipeline routes by content.
  std::vector<std::string_view> texts(std::string_view option) const {
    const tide_value& value = find(option);
    std::vector<std::string_view> all{view(value.string)};
    for (std::uint64_t i = 0; i < value.alternative_count; ++i) all.push_back(view(value.alternatives[i]));
    return all;
  }

  std::string_view pipeline() const { return view(config_->pipeline); }
  std::chrono::milliseconds deadline() const { return std::chrono::milliseconds(config_->deadline_ms); }
  std::uint64_t sink_position() const { return config_->sink_position; }

 private:
  const tide_value& find(std::string_view option) const {
    for (const tide_value& value : values_)
      if (view(value.name) == option) return value;
    throw Error::fatal("the relay sent no value for the option '" + std::string(option) + "'");
  }

  const tide_config* config_;
  Strided<tide_value> values_;
};

// Where ack puts what became of messages. Each accepted token gets exactly one result. Add nothing while full().
class Results {
 public:
  // For the thunks. texts keeps the error texts alive until the next call on the instance.
  Results(tide_result* out, std::uint32_t stride, std::uint64_t capacity, std::deque<std::string>& texts)
      : out_(reinterpret_cast<std::byte*>(out)), stride_(stride), capacity_(capacity), texts_(&texts) {
    if (stride_ < sizeof(tide_result)) throw Error::fatal("this relay is older than the plugin's interface");
  }

  bool full() const { return size_ == capacity_; }
  bool empty() const { return size_ == 0; }
  std::uint64_t size() const { return size_; }

  void stored(std::uint64_t token, std::uint64_t sink_position = 0, bool duplicate = false) {
    put({token, TIDE_STORED, duplicate ? TIDE_RESULT_DUPLICATE : 0, 0, sink_position, {}});
  }
  // Names no message: where the sink stands. For the first ack only, see tide_result.
  void standing(std::uint64_t sink_position) { put({0, TIDE_STORED, 0, 0, sink_position, {}}); }
  void retry(std::uint64_t token, std::string why, std::int64_t native_code = 0) {
    failed(token, TIDE_RETRY, std::move(why), native_code);
  }
  void rejected(std::uint64_t token, std::string why, std::int64_t native_code = 0) {
    failed(token, TIDE_REJECTED, std::move(why), native_code);
  }
  void fatal(std::uint64_t token, std::string why, std::int64_t native_code = 0) {
    failed(token, TIDE_FATAL, std::move(why), native_code);
  }
  // One of these three, by its status.
  void failed(std::uint64_t token, std::int32_t status, std::string why, std::int64_t native_code = 0) {
    put({token, status, 0, native_code, 0, str(texts_->emplace_back(std::move(why)))});
  }

 private:
  void put(const tide_result& result) {
    if (full()) throw std::length_error("more results than the relay asked for");
    std::byte* slot = out_ + size_ * stride_;
    std::memset(slot, 0, stride_);  // a newer relay's fields read as zero
    std::memcpy(slot, &result, sizeof result);
    ++size_;
  }

  std::byte* out_;
  std::size_t stride_;
  std::uint64_t capacity_;
  std::uint64_t size_ = 0;
  std::deque<std::string>* texts_;
};

// Rows of the options table.
constexpr tide_option string_option(const char* name, const char* description, std::uint32_t flags = 0,
                                    const char* default_value = nullptr, const char* choices = nullptr) {
  return {name, TIDE_TYPE_STRING, flags, default_value, description, 0, 0, choices};
}
constexpr tide_option bool_option(const char* name, const char* description, bool default_value,
                                  std::uint32_t flags = 0) {
  return {name, TIDE_TYPE_BOOL, flags, default_value ? "true" : "false", description, 0, 0, nullptr};
}
constexpr tide_option int_option(const char* name, const char* description, const char* default_value,
                                 std::int64_t min_value, std::int64_t max_value, std::uint32_t flags = 0) {
  return {name, TIDE_TYPE_INT, flags, default_value, description, min_value, max_value, nullptr};
}

// Who the plugin is. Everything in it is static and NUL-terminated.
struct SinkInfo {
  const char* id;
  const char* sink_types;
  const char* version;
  const char* description;
  std::uint64_t capabilities = 0;
  std::span<const tide_option> options = {};
};

template <class S>
concept Sink = std::constructible_from<S, Host, const Config&> &&
    requires(S sink, const Batch& batch, Results& results, std::chrono::milliseconds time) {
  { S::info } -> std::convertible_to<const SinkInfo&>;
  { sink.publish(batch) } -> std::same_as<std::size_t>;
  { sink.ack(results, time) } -> std::same_as<void>;
};

namespace detail {

// Cuts at a whole UTF-8 character when the text is too long.
inline void report(tide_error* err, std::string_view text, std::int64_t native_code) noexcept {
  std::size_t size = std::min<std::size_t>(text.size(), TIDE_ERROR_CAPACITY);
  if (size < text.size())
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0u) == 0x80u) --size;
  if (size != 0) std::memcpy(err->text, text.data(), size);
  err->size = static_cast<std::uint32_t>(size);
  err->native_code = native_code;
}

template <class Call>
std::int32_t guarded(tide_error* err, Call&& call) noexcept {
  try {
    std::forward<Call>(call)();
    return TIDE_OK;
  } catch (const Error& error) {
    report(err, error.what(), error.native_code());
    return error.status();
  } catch (const std::bad_alloc&) {
    report(err, "out of memory", 0);
  } catch (const std::exception& error) {
    report(err, error.what(), 0);
  } catch (...) {
    report(err, "the plugin threw something that is no std::exception", 0);
  }
  return TIDE_FATAL;
}

template <Sink S>
struct Instance {
  Instance(Host host, const Config& config) : sink(host, config) {}

  S sink;
  std::deque<std::string> texts;  // of the results handed over by the last ack
};

template <Sink S>
struct Thunks {
  static std::int32_t connect(const tide_host* host, const tide_config* config, void** instance,
                              tide_error* err) noexcept {
    return guarded(err, [&] { *instance = std::make_unique<Instance<S>>(Host(host), Config(*config)).release(); });
  }

  static std::int32_t publish(void* instance, const tide_batch* batch, std::uint64_t* accepted,
                              tide_error* err) noexcept {
    *accepted = 0;
    return guarded(err, [&] {
      auto& self = *static_cast<Instance<S>*>(instance);
      self.texts.clear();
      *accepted = self.sink.publish(Batch(batch->messages, batch->count, batch->message_size));
    });
  }

  static std::int32_t ack(void* instance, tide_result* out, std::uint32_t result_size, std::uint64_t capacity,
                          std::uint32_t timeout_ms, std::uint64_t* count, tide_error* err) noexcept {
    *count = 0;
    return guarded(err, [&] {
      auto& self = *static_cast<Instance<S>*>(instance);
      self.texts.clear();
      Results results(out, result_size, capacity, self.texts);
      // What is known counts even when the connection then turns out to be broken.
      struct HandOver {
        const Results& results;
        std::uint64_t* count;
        ~HandOver() { *count = results.size(); }
      } hand_over{results, count};
      self.sink.ack(results, std::chrono::milliseconds(timeout_ms));
    });
  }

  static void close(void* instance, std::uint32_t deadline_ms) noexcept {
    tide_error ignored;  // the C interface has no way to report it, and nothing is left to do about it
    guarded(&ignored, [&] {
      const std::unique_ptr<Instance<S>> self(static_cast<Instance<S>*>(instance));
      if constexpr (requires(S & sink) { sink.close(std::chrono::milliseconds(0)); })
        self->sink.close(std::chrono::milliseconds(deadline_ms));
    });
  }

  static constexpr tide_ops ops{sizeof(tide_ops), 0, connect, publish, ack, close};
  static constexpr tide_sink descriptor{sizeof(tide_sink),
                                        TIDE_SINK_ABI_MAJOR,
                                        TIDE_SINK_ABI_MINOR,
                                        sizeof(tide_option),
                                        S::info.id,
                                        S::info.sink_types,
                                        S::info.version,
                                        S::info.description,
                                        S::info.capabilities,
                                        S::info.options.data(),
                                        S::info.options.size(),
                                        &ops,
                                        nullptr};
};

}  // namespace detail
}  // namespace tide

// Exports the class as the plugin of this shared object. Once, in one source file, outside every namespace.
#define TIDE_EXPORT_SINK(Class)                                      \
  extern "C" TIDE_SINK_EXPORT const tide_sink* tide_sink_v1(void) {  \
    static_assert(tide::Sink<Class>, #Class " is not a tide::Sink"); \
    return &tide::detail::Thunks<Class>::descriptor;                 \
  }

#endif
