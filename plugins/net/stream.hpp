// SPDX-License-Identifier: Apache-2.0
//
// A connection to a server, over TCP, TLS or a Unix socket, whose calls never wait: what can't be sent at once is kept
// here. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "resolve.hpp"
#include "server_url.hpp"
#include "tls.hpp"

namespace tide::net {

class Stream {
 public:
  // Connects, with TLS where the URL says so. Throws Error, which names the server.
  Stream(const ServerUrl& server, const TlsSettings& tls, Clock::time_point until);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void send(std::string_view data);  // keeps it until there is much, or flush() is called
  void flush();                      // sends what goes at once
  [[nodiscard]] std::size_t unsent() const { return to_send_.size() - sent_; }
  // Adds what has come, and flushes. Throws a retry Error when the connection is lost.
  void receive(std::string& data);

  // Waits until something came, something can be sent that is to be, or the time is up; false for the last.
  bool wait(Clock::time_point until) const;

 private:
  void close() const;
  void connect_tcp(const ServerUrl& server, Clock::time_point until);
  void connect_local(const ServerUrl& server);
  void shake_hands(Clock::time_point until);
  template <class Call>
  void named(Call call) const;  // an Error that leaves it names the server
  [[noreturn]] void lost(const std::string& why) const;

  const std::string shown_;
  int fd_ = -1;
  std::unique_ptr<Tls> tls_;
  std::string to_send_;
  std::size_t sent_ = 0;  // of to_send_
};

}  // namespace tide::net
