// What the fuzzers share. A fuzzer is one function that gets any bytes and states what must hold of the code whatever
// they are. libFuzzer drives it, or corpus_main.cpp over the corpus that is kept. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tide::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
}

// seen: what broke the rule.
inline void require(bool holds, std::string_view rule, std::string_view seen) {
  if (holds) return;
  std::fprintf(stderr, "broken rule: %.*s\nseen: ", static_cast<int>(rule.size()), rule.data());
  for (const char c : seen) {
    const bool plain = c >= ' ' && c <= '~';  // other bytes would break the test's report
    std::fprintf(stderr, plain ? "%c" : "\\x%02x", static_cast<unsigned char>(c));
  }
  std::fputc('\n', stderr);
  std::abort();
}

// Several texts in one input, a line each. What has no line is empty.
class Lines {
 public:
  explicit Lines(std::string_view input) : rest_(input) {}

  std::string_view next() {
    const auto end = rest_.find('\n');
    const auto line = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    return line;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace tide::fuzz
