// SPDX-License-Identifier: Apache-2.0
#include "answer.hpp"

#include <algorithm>
#include <array>

#include "script.hpp"
#include "tide/sink.h"

namespace tide::redis {
namespace {

constexpr std::string_view kAclHelp =
    ". Check username and password, and the user's ACL: it needs the keys and commands that docs/redis_streams.md "
    "lists";
constexpr std::string_view kClusterHelp =
    ". url leads to a node of a Redis Cluster, which this sink does not follow: use a server or a primary with "
    "replicas";

struct Rule {
  std::string_view code;
  std::int32_t outcome;
  std::string_view advice;
};
constexpr auto kRules = std::to_array<Rule>({
    {"OOM", TIDE_RETRY, ". Redis is at its maxmemory: raise it, trim streams (maxlen), or remove keys"},
    {"LOADING", TIDE_RETRY, {}},
    {"BUSY", TIDE_RETRY, ". Somebody's script runs for too long: SCRIPT KILL ends it"},
    {"MISCONF", TIDE_RETRY, ". Redis can't save to its disk, and takes no writes until it can: see its log"},
    {"NOREPLICAS", TIDE_RETRY, ". Fewer replicas are connected than min-replicas-to-write asks for"},
    {"MASTERDOWN", TIDE_RETRY, {}},
    {"CLUSTERDOWN", TIDE_RETRY, {}},
    {"TRYAGAIN", TIDE_RETRY, {}},
    {"NOSCRIPT", TIDE_RETRY, {}},
    {out_of_turn, TIDE_RETRY, ". Should it go on: another relay runs a pipeline of the same name into this stream"},
    {"READONLY", TIDE_RECONNECT,
     ". It is a replica by now: list the other servers in url, so that the primary is found"},
    {ids_unusable, TIDE_FATAL,
     ". The keys beside the stream, …:tide:PIPELINE:…, are the relay's own: see docs/redis_streams.md"},
    {"NOAUTH", TIDE_FATAL, kAclHelp},
    {"NOPERM", TIDE_FATAL, kAclHelp},
    {"WRONGPASS", TIDE_FATAL, kAclHelp},
    {"DENIED", TIDE_FATAL, ". Set a password in Redis, or bind it to an address of its own"},
    {"MOVED", TIDE_FATAL, kClusterHelp},
    {"ASK", TIDE_FATAL, kClusterHelp},
    {"CROSSSLOT", TIDE_FATAL, kClusterHelp},
});

const Rule* rule_of(std::string_view error) {
  const auto code = code_of(error);
  const auto* const found = std::find_if(kRules.begin(), kRules.end(), [&](const auto& r) { return r.code == code; });
  return found == kRules.end() ? nullptr : found;
}

// Begins with ". ", or is empty.
std::string_view advice(std::string_view error) {
  if (code_of(error) == "WRONGTYPE") return ". That key holds something else than a stream: choose another name";
  if (error.find("invalid bulk length") != std::string_view::npos)
    return ". The event is larger than the server's proto-max-bulk-len: raise that";
  if (error.find("max number of clients") != std::string_view::npos) return ". Raise the server's maxclients";
  for (const auto* refusal :
       {"called without any password configured", "user executing the script can't", "ACL failure in script"})
    if (error.find(refusal) != std::string_view::npos) return kAclHelp;
  const auto* const rule = rule_of(error);
  return rule == nullptr ? std::string_view{} : rule->advice;
}

}  // namespace

std::string_view code_of(std::string_view error) {
  return error.substr(0, error.find(' '));
}

std::string_view without_place(std::string_view error) {
  const auto command = error.find(": -");
  return error.find("@user_script") != std::string_view::npos && command != std::string_view::npos
             ? error.substr(command + 3)
             : error;
}

std::int32_t outcome_of(std::string_view error, bool fixed_stream) {
  if (code_of(error) == "WRONGTYPE") return fixed_stream ? TIDE_FATAL : TIDE_REJECTED;
  if (error.find("too large to be stored") != std::string_view::npos) return TIDE_REJECTED;
  if (error.find("max number of clients") != std::string_view::npos) return TIDE_RETRY;
  const auto* const rule = rule_of(error);
  return rule == nullptr ? TIDE_FATAL : rule->outcome;
}

std::string explained(std::string_view error) {
  const auto help = advice(error);
  while (!help.empty() && (error.ends_with('.') || error.ends_with(' '))) error.remove_suffix(1);
  return std::string(error) + std::string(help);
}

}  // namespace tide::redis
