// SPDX-License-Identifier: Apache-2.0
#include "script.hpp"

#include <openssl/evp.h>

#include <array>

namespace tide::redis {

// An event is added only if the one before it was, or was rejected: that keeps the order when one of many in flight
// fails. With no turn to wait for, everything that remembers the id is tried before the event is added: what is not
// allowed must not fail after that.
const std::string_view add_script = R"(local stream, ids, turn = KEYS[1], KEYS[2], KEYS[3]
local expected, following, id = ARGV[1], ARGV[2], ARGV[3]

local function failed(done)
  return type(done) == 'table' and done.err
end
local function ids_failed(why)
  return redis.error_reply(string.find(why, 'WRONGTYPE', 1, true) and 'IDS ' .. why or why)
end

if expected ~= '' then
  if redis.call('GET', turn) ~= expected then
    return redis.error_reply('TURN what stands before it was not stored')
  end
else
  for _, trial in ipairs({{'ZADD', ids, 'XX', 0, ''}, {'ZREMRANGEBYRANK', ids, 1, 0}, {'EXPIRE', ids, ARGV[5]}}) do
    local done = redis.pcall(unpack(trial))
    if failed(done) then
      return ids_failed(done.err)
    end
  end
end

local known = redis.pcall('ZSCORE', ids, id)
if failed(known) then
  return ids_failed(known.err)
end
local added = false
if not known then
  local command = {'XADD', stream}
  if ARGV[6] ~= '' then
    command[3], command[4], command[5] = 'MAXLEN', ARGV[6], ARGV[7]
  end
  command[#command + 1] = '*'
  for i = 8, #ARGV do
    command[#command + 1] = ARGV[i]
  end
  added = redis.pcall(unpack(command))
  if failed(added) then
    if string.find(added.err, 'WRONGTYPE', 1, true) or string.find(added.err, 'too large', 1, true) then
      redis.pcall('SET', turn, following, 'EX', ARGV[5])
    end
    return added
  end
  redis.call('ZADD', ids, string.match(added, '^%d+'), id)
  redis.call('ZREMRANGEBYRANK', ids, 0, -1 - ARGV[4])
  redis.call('EXPIRE', ids, ARGV[5])
end
local passed = redis.pcall('SET', turn, following, 'EX', ARGV[5])
if known and failed(passed) then
  return passed
end
return added
)";

const std::string& add_script_sha() {
  static const std::string sha = [] {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(add_script.data(), add_script.size(), digest.data(), &size, EVP_sha1(), nullptr);
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text += digits[digest[i] >> 4];
      text += digits[digest[i] & 15];
    }
    return text;
  }();
  return sha;
}

}  // namespace tide::redis
