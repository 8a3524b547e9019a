// The sink's `url` and `nkey_seed`: what comes out can be shown, and no error ever shows what went in.
#include <algorithm>
#include <string>
#include <tide/sink.hpp>

#include "fuzz.hpp"
#include "nats_jetstream/nkey.hpp"
#include "nats_jetstream/server_url.hpp"

using tide::fuzz::require;

namespace {

constexpr std::string_view kSecret = "hunter2";

void check(const tide::nats::ServerUrl& url) {
  const std::string_view address = url.address;
  require(address.starts_with("nats://"), "an address has the scheme that cnats knows", address);
  const auto authority = address.substr(7);
  require(authority.find_first_of("@/?# ,") == std::string_view::npos &&
              std::none_of(authority.begin(), authority.end(), tide::fuzz::is_control),
          "an address is a host and a port alone", address);

  const auto colon = authority.rfind(':');
  require(colon != std::string_view::npos, "an address has a port", address);
  const auto port = authority.substr(colon + 1);
  require(!port.empty() && port.size() <= 5 &&
              std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
              std::stoi(std::string(port)) >= 1 && std::stoi(std::string(port)) <= 65535,
          "a port is a number from 1 to 65535", address);
  auto host = authority.substr(0, colon);
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  require(!host.empty(), "an address has a host", address);
  require(host.find_first_of("[]") == std::string_view::npos && (brackets || host.find(':') == std::string_view::npos),
          "a host is a name, or an address in brackets", address);
}

void check(const tide::Error& error) {
  const std::string_view text = error.what();
  require(error.status() == TIDE_FATAL, "wrong configuration is fatal", text);
  require(text.find(kSecret) == std::string_view::npos, "no error shows a secret", text);
}

void parse_urls(const std::string& list, bool has_secret) {
  try {
    const auto urls = tide::nats::parse_server_urls(list);
    require(urls.size() == 1U + static_cast<std::size_t>(std::count(list.begin(), list.end(), ',')),
            "a list has as many servers as it says", list);
    for (const auto& url : urls) {
      check(url);
      require(!has_secret || url.address.find(kSecret) == std::string::npos, "an address shows no secret", url.address);
      // What was taken apart can be put together again.
      const auto again = tide::nats::parse_server_urls(url.address);
      require(again.size() == 1 && again[0].address == url.address && again[0].username.empty(),
              "an address is a URL without user info", url.address);
    }
  } catch (const tide::Error& error) {
    check(error);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(tide::fuzz::text_of(data, size));
  const bool clean = input.find(kSecret) == std::string::npos;
  parse_urls(input, false);
  parse_urls("nats://user:" + std::string(kSecret) + input + "@host", clean);
  parse_urls("tls://" + std::string(kSecret) + "@" + input, clean);

  try {
    const auto key = tide::nats::public_key_of_user_seed(input);
    require(key.size() == 56 && key.starts_with('U'), "a user's public key has 56 characters and starts with U", key);
  } catch (const tide::Error& error) {
    check(error);
    static const std::string kText = error.what();
    require(error.what() == kText, "an error about a seed says the same of each", error.what());
  }
  return 0;
}
