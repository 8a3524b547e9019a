// SPDX-License-Identifier: Apache-2.0
#include "cluster_servers.hpp"

#include <map>
#include <mutex>
#include <utility>

namespace tide::nats {
namespace {

struct Memory {
  std::mutex mutex;
  std::map<std::string, ClusterServers> by_configured;
};

Memory& memory() {
  static Memory all;
  return all;
}

}  // namespace

void remember_servers(const std::string& configured, ClusterServers servers) {
  const std::lock_guard lock(memory().mutex);
  memory().by_configured[configured] = std::move(servers);
}

ClusterServers remembered_servers(const std::string& configured) {
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().by_configured.find(configured);
  return found == memory().by_configured.end() ? ClusterServers{} : found->second;
}

}  // namespace tide::nats
