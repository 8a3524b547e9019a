// SPDX-License-Identifier: Apache-2.0
//
// The servers that a cluster told of, for when the configured ones are all gone. A lost connection's instance is
// replaced by a new one, so what it heard is kept here for the process, by the servers that are configured. Any thread.
#pragma once

#include <string>
#include <vector>

namespace tide::nats {

struct ClusterServers {
  std::vector<std::string> urls;  // without those that are configured
  std::string host;               // of the configured server that told of them: their certificates may name it alone
};

void remember_servers(const std::string& configured, ClusterServers servers);
ClusterServers remembered_servers(const std::string& configured);

}  // namespace tide::nats
