// SPDX-License-Identifier: Apache-2.0
#include "signature.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <memory>

#include "tide/sink.hpp"

namespace tide::webhook {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr std::size_t kShortest = 16;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string base64(const unsigned char* data, unsigned size) {
  std::string text((size + 2) / 3 * 4 + 1, '\0');
  text.resize(static_cast<std::size_t>(
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data, static_cast<int>(size))));
  return text;
}

}  // namespace

std::string secret_bytes(std::string_view secret, std::string_view option) {
  const auto wrong = [&](const std::string& what) {
    return Error::fatal(
        std::string(option) + " " + what +
        ": it is whsec_ with 24 to 64 random bytes in base64, as `echo whsec_$(openssl rand -base64 32)` "
        "makes it");
  };
  if (!secret.starts_with(kPrefix)) throw wrong("does not begin with whsec_");
  secret.remove_prefix(kPrefix.size());
  if (secret.empty() || secret.size() % 4 != 0) throw wrong("is no base64");
  std::string decoded(secret.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()), bytes(secret), static_cast<int>(secret.size()));
  if (size < 0) throw wrong("is no base64");
  decoded.resize(static_cast<std::size_t>(size));
  for (int i = 1; i <= 2; ++i)
    if (secret[secret.size() - static_cast<std::size_t>(i)] == '=') decoded.pop_back();
  if (decoded.size() < kShortest) throw wrong("is too short");
  return decoded;
}

std::string signature(const std::vector<std::string>& secrets, std::string_view id, std::string_view timestamp,
                      std::string_view body) {
  std::string content;
  content.reserve(id.size() + timestamp.size() + body.size() + 2);
  content.append(id).append(".").append(timestamp).append(".").append(body);
  std::string all;
  for (const auto& secret : secrets) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> code{};
    unsigned size = 0;
    if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes(content), content.size(), code.data(),
             &size) == nullptr)
      throw Error::fatal("OpenSSL could not compute a signature");
    all += (all.empty() ? "v1," : " v1,") + base64(code.data(), size);
  }
  return all;
}

std::string id_of(const std::vector<std::string_view>& keys) {
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::array<unsigned char, EVP_MAX_MD_SIZE> code{};
  unsigned size = 0;
  bool done = hash && EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1;
  for (const auto key : keys) {
    const std::uint64_t length = key.size();
    done = done && EVP_DigestUpdate(hash.get(), &length, sizeof length) == 1 &&
           EVP_DigestUpdate(hash.get(), key.data(), key.size()) == 1;
  }
  if (!done || EVP_DigestFinal_ex(hash.get(), code.data(), &size) != 1)
    throw Error::fatal("OpenSSL could not compute a hash");
  constexpr std::string_view digits = "0123456789abcdef";
  std::string id = "batch_";
  for (unsigned i = 0; i < 16; ++i) {
    id += digits[code.at(i) >> 4];
    id += digits[code.at(i) & 15];
  }
  return id;
}

}  // namespace tide::webhook
