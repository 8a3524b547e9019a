// SPDX-License-Identifier: Apache-2.0
//
// The servers that an option `url` lists: scheme://[user[:password]@]host[:port][/path], separated by commas; or
// unix:///path. Plain values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tide::net {

struct ServerUrl {
  bool tls = false;
  bool local = false;  // a Unix socket, whose path is `path`
  std::string host;
  std::uint16_t port = 0;
  std::string username;
  std::string password;
  std::string path;       // what follows host and port, without its '/', decoded
  bool has_path = false;  // there is a '/'
  std::string shown;      // to people: without user info and path
};

// What a sink takes: the scheme without TLS and its default port, and the one with TLS and its own.
struct Schemes {
  std::string_view plain;
  std::uint16_t plain_port;
  std::string_view tls;
  std::uint16_t tls_port;
  bool unix_sockets;
};

// At least one, and all with TLS or none. Throws a fatal Error that shows no part of them: any may be a password that
// was written wrongly.
std::vector<ServerUrl> server_urls(std::string_view text, const Schemes& schemes);

}  // namespace tide::net
