// SPDX-License-Identifier: Apache-2.0
#include "nkey.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "tide/sink.hpp"

namespace tide::nats {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr unsigned prefix_seed = 18 << 3;
constexpr unsigned prefix_user = 20 << 3;
constexpr std::size_t key_size = 32;
constexpr std::size_t crc_size = 2;

// Two bytes carry the seed's two prefixes of five bits each.
using RawSeed = std::array<unsigned char, 2 + key_size + crc_size>;
using RawPublicKey = std::array<unsigned char, 1 + key_size + crc_size>;

[[noreturn]] void refuse() {
  throw Error::fatal(
      "nkey_seed is not the seed of an NKey user: it has 58 characters and starts with SU. "
      "Create a pair with: nk -gen user -pubout");
}

// CRC-16/XMODEM
std::uint16_t crc16(std::span<const unsigned char> bytes) {
  unsigned crc = 0;
  for (const unsigned char byte : bytes) {
    crc ^= static_cast<unsigned>(byte) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000u) != 0 ? (crc << 1) ^ 0x1021u : crc << 1;
    crc &= 0xFFFFu;
  }
  return static_cast<std::uint16_t>(crc);
}

RawSeed decode(std::string_view text) {
  RawSeed raw{};
  if (text.size() != (raw.size() * 8 + 4) / 5) refuse();
  unsigned bits = 0;
  unsigned pending = 0;
  std::size_t size = 0;
  for (const char c : text) {
    const auto value = alphabet.find(c);
    if (value == std::string_view::npos) refuse();
    bits = ((bits << 5) | static_cast<unsigned>(value)) & 0xFFFu;
    pending += 5;
    if (pending >= 8) {
      pending -= 8;
      raw[size++] = static_cast<unsigned char>(bits >> pending);
    }
  }
  return raw;
}

std::string encode(std::span<const unsigned char> bytes) {
  std::string text;
  unsigned bits = 0;
  unsigned pending = 0;
  for (const unsigned char byte : bytes) {
    bits = ((bits << 8) | byte) & 0xFFFu;
    for (pending += 8; pending >= 5;) {
      pending -= 5;
      text += alphabet[(bits >> pending) & 31u];
    }
  }
  if (pending > 0) text += alphabet[(bits << (5 - pending)) & 31u];
  return text;
}

}  // namespace

std::string public_key_of_user_seed(std::string_view seed) {
  struct Wiped {
    RawSeed raw;
    ~Wiped() { OPENSSL_cleanse(raw.data(), raw.size()); }
  } const wiped{decode(seed)};
  const auto& raw = wiped.raw;

  const std::span body(raw.data(), raw.size() - crc_size);
  const auto crc = static_cast<unsigned>(raw[body.size()]) | static_cast<unsigned>(raw[body.size() + 1]) << 8;
  const auto kind = (raw[0] & 7u) << 5 | raw[1] >> 3;
  if ((raw[0] & 0xF8u) != prefix_seed || kind != prefix_user || crc16(body) != crc) refuse();

  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw.data() + 2, key_size), EVP_PKEY_free);
  RawPublicKey public_key{static_cast<unsigned char>(prefix_user)};
  std::size_t size = key_size;
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), public_key.data() + 1, &size) != 1)
    throw Error::fatal("OpenSSL could not derive the public key of nkey_seed");

  const auto public_crc = crc16(std::span(public_key).first(1 + key_size));
  public_key[1 + key_size] = static_cast<unsigned char>(public_crc & 0xFFu);
  public_key[2 + key_size] = static_cast<unsigned char>(public_crc >> 8);
  return encode(public_key);
}

}  // namespace tide::nats
