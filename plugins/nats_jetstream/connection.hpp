// SPDX-License-Identifier: Apache-2.0
//
// One connection to a NATS server with one inbox, driven by whoever calls it: cnats runs in its event-loop mode and
// this class is the loop, so there is no thread of its own and nothing is sent or read outside these calls. It never
// reconnects: a lost connection throws a retry Error from then on. Calls must be serialised.
//
// cnats's blocking calls (Flush, Request, js_*) would wait here for a loop that is not running: don't use them.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster_servers.hpp"
#include "handles.hpp"
#include "lame_duck.hpp"
#include "settings.hpp"

namespace tide::nats {

using Clock = std::chrono::steady_clock;

// What came to the inbox. cnats swallows the message that says "no responders", and with it the subject: such a reply
// is known only to belong to one of the requests that are still open.
struct Reply {
  // A delivery is a stream's message that a consumer sends to the inbox: it keeps its own subject.
  enum class Kind { none, message, delivery, no_responders };

  std::string_view subject_suffix() const;  // of a message: what followed the inbox's prefix
  std::string_view reply_subject() const;   // empty when there is none
  std::string_view data() const;
  std::string header(const char* name) const;  // empty when there is none
  // One that cnats took for the value of the header before it, which has none of its own.
  std::string swallowed_header(std::string_view name) const;

  Kind kind = Kind::none;
  natsMsg* message = nullptr;
  std::size_t prefix_size = 0;
};

class Connection {
 public:
  // Connects before the deadline and subscribes to the inbox. Throws a retry or fatal Error with advice.
  Connection(const Settings& settings, Clock::time_point deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The subject prefix for replies; what is appended comes back in Reply::subject_suffix.
  const std::string& inbox_prefix() const { return inbox_prefix_; }

  // Appends to the write buffer; now and then writes what the socket takes. Never blocks on a plain connection; on TLS
  // at most write_deadline.
  void publish(MessagePtr message);

  // Writes what the socket takes now.
  void flush();

  // Bytes not yet taken by the socket.
  std::size_t buffered() const;

  // Waits up to timeout for the socket, then reads and writes once. Throws a fatal Error when the server refused the
  // rights to something, unless tolerated by forgive_denial.
  void pump(std::chrono::milliseconds timeout);

  // The next reply that was read, if any. Valid until the next pump().
  Reply next_reply();

  // Throws a fatal Error when the server lets the user publish nothing to this subject. Nothing is published: the
  // server checks the right before it finds that the message carries a reply subject that is reserved.
  void require_right_to_publish(const std::string& subject, Clock::time_point deadline);

  // A request to JetStream's API, such as "STREAM.NAMES", whose reply comes to the inbox under this suffix.
  void ask(const std::string& api, std::string_view payload, const std::string& suffix);

  // The same without a reply.
  void tell(const std::string& api);

  // One such request with its reply. Throws a retry Error at the deadline. Only while nothing else is in flight.
  Reply request(const std::string& api, std::string_view payload, Clock::time_point deadline);

  // For a connection with nothing in flight: now and then asks the server for a sign of life. Throws a retry Error
  // when none came in time.
  void keep_alive();

  // What the server last refused ("Permissions Violation for Publish to ..."), or empty. Forgiving it keeps it from
  // ending the connection.
  std::string denial() const;
  bool denied_api(std::string_view api) const;  // the beginning of an API request, such as "CONSUMER."
  void forgive_denial() { forgiven_denial_ = denial(); }

  std::size_t max_payload() const { return static_cast<std::size_t>(natsConnection_GetMaxPayload(connection_.get())); }
  const std::string& server() const { return server_; }

  // The server is about to stop, and has asked its clients to go to another one.
  bool told_to_leave() const { return lame_duck_.told(); }

 private:
  // What cnats's event-loop callbacks tell: the socket, or -1 when it is gone.
  struct Loop {
    int fd = -1;
#ifdef HAVE_PROCESS_DETACHED_EVENT
    natsConnection* connection = nullptr;  // cnats waits to hear that it was detached
#endif
  };
  static natsStatus attach(void** user_data, void* loop, natsConnection* connection, natsSock fd);
  static natsStatus read_interest(void* user_data, bool wanted);
  static natsStatus write_interest(void* user_data, bool wanted);
  static natsStatus detach(void* user_data);

  // Tries the servers, in any order, for so long each.
  void connect(const Settings& settings, const std::vector<std::string>& servers, std::chrono::milliseconds per_server);
  bool connect_to_remembered(const Settings& settings, const ClusterServers& remembered,
                             std::chrono::milliseconds per_server);
  OptionsPtr make_options(const Settings& settings, const std::vector<std::string>& servers,
                          std::chrono::milliseconds per_server);
  void subscribe();
  void send(const std::string& subject, const std::string& reply, std::string_view payload);
  void ping();
  void await_sign_of_life(Clock::time_point deadline);
  bool readable();
  void throw_if_closed() const;

  Loop loop_;
  LameDuck lame_duck_;
  const std::string configured_;  // the servers, as cluster_servers.hpp knows them
  std::string server_;            // its URL, for messages
  std::string host_;              // what its certificate names, if not its address
  std::string inbox_prefix_;
  const std::string api_prefix_;
  std::string forgiven_denial_;
  Clock::time_point heard_ = Clock::now();  // the last time that something was read
  Clock::time_point pinged_{};
  // cnats hands each message to a thread of its own to be freed, and wakes that: once for many is cheaper.
  std::vector<MessagePtr> sent_;
  std::vector<MessagePtr> replies_;
  std::optional<bool> tls_;   // what the server's first bytes tell
  bool socket_full_ = false;  // the last write left something behind: only poll tells when to try again
  SubscriptionPtr subscription_;
  ConnectionPtr connection_;
};

}  // namespace tide::nats
