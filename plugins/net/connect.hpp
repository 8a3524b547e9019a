// SPDX-License-Identifier: Apache-2.0
//
// Connects to one of several servers. Any thread.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "resolve.hpp"
#include "tide/sink.hpp"

namespace tide::net {

// To the first of settings.servers that lets us in, each having its share of the time that is left. Throws Error: at
// once where people must mend something, else with what each of them said.
template <class Connection, class Settings>
std::unique_ptr<Connection> connect_to_one(const Settings& settings, Clock::time_point until) {
  std::string why;
  std::int64_t code = 0;
  for (std::size_t i = 0; i < settings.servers.size(); ++i) {
    const auto now = Clock::now();
    const auto share = (until - now) / static_cast<int>(settings.servers.size() - i);
    try {
      return std::make_unique<Connection>(settings.servers[i], settings,
                                          now + std::min<Clock::duration>(share, settings.connect_timeout));
    } catch (const Error& error) {
      if (error.status() != TIDE_RETRY) throw;
      why += (why.empty() ? "" : "; ") + std::string(error.what());
      code = error.native_code();
    }
  }
  throw Error::retry(why, code);
}

}  // namespace tide::net
