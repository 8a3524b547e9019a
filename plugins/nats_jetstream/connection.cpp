// SPDX-License-Identifier: Apache-2.0
#include "connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "../net/resolve.hpp"
#include "connect_limit.hpp"
#include "help.hpp"
#include "json.hpp"
#include "tls_error.hpp"
#include "tls_record.hpp"

namespace tide::nats {
namespace {

using std::chrono::milliseconds;

// Bytes to gather before a write: enough to save system calls, little enough for the server to start early. It also
// bounds what one TLS write has to finish, because cnats writes the whole buffer in one blocking SSL_write.
constexpr std::size_t write_size = std::size_t{64} * 1024;
constexpr milliseconds write_deadline{5000};

// A connection that is idle is asked for a sign of life this often, and has this long to give it.
constexpr milliseconds ping_interval{5000};
constexpr milliseconds pong_deadline{5000};

// The server lets no client use it, and says so only after it has checked the right to publish.
constexpr auto reserved_reply = "_R_.tide-relay";

// cnats puts "(file.c:123): " before its texts.
std::string last_error() {
  natsStatus status = NATS_OK;
  const char* text = nats_GetLastError(&status);
  std::string_view view = text == nullptr ? "" : text;
  if (view.starts_with('('))
    if (const auto end = view.find("): "); end != std::string_view::npos) view.remove_prefix(end + 3);
  return std::string(view);
}

std::string describe(natsStatus status) {
  const std::string detail = last_error();
  const std::string name = natsStatus_GetText(status);
  return detail.empty() || detail == name ? name : name + ": " + detail;
}

void check(natsStatus status, std::string_view what) {
  if (status != NATS_OK) throw Error::fatal(std::string(what) + ": " + describe(status), status);
}

bool is_outage(natsStatus status) {
  switch (status) {
    case NATS_SYS_ERROR:  // a name that is not known, after another server failed
    case NATS_ERR:        // the server's own refusal, such as "maximum connections exceeded"
    case NATS_PROTOCOL_ERROR:
    case NATS_IO_ERROR:
    case NATS_CONNECTION_CLOSED:
    case NATS_NO_SERVER:
    case NATS_STALE_CONNECTION:
    case NATS_TIMEOUT:
    case NATS_CONNECTION_DISCONNECTED:
      return true;
    default:
      return false;
  }
}

// `unresolved` tells of servers that were not tried.
[[noreturn]] void throw_connect_error(natsStatus status, const Settings& settings, const std::string& unresolved) {
  const std::string servers = settings.server_list();
  switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
      throw Error::fatal("Authorization violation: " + servers + " refused the credentials (" + describe(status) +
                             "). " + std::string(help::authorization),
                         status);
    case NATS_SECURE_CONNECTION_WANTED:
      throw Error::fatal("TLS is required here, but " + servers +
                             " does not offer it; nothing was sent in the clear. Enable TLS on the server, or use a "
                             "nats:// URL without tls_enabled and tls_ca_cert.",
                         status);
    case NATS_SSL_ERROR:
      throw_tls_error("the TLS connection to " + servers + " failed", last_error(), status);
    default:
      break;
  }
  // With TLS 1.3 a client is done before the server has looked at its certificate. cnats does not read the server's
  // word on it (3.4 takes it for a protocol error, 3.10 for the connection's end), so this may as well be an outage.
  const std::string text = last_error();
  const bool ended = status == NATS_PROTOCOL_ERROR || status == NATS_CONNECTION_CLOSED;
  if (is_outage(status) && ((settings.tls && ended) || text.find("SSL_") != std::string::npos))
    throw Error::retry(servers + " ended the connection right after the TLS handshake (" + describe(status) + "). " +
                           std::string(help::client_certificate),
                       status);
  if (is_outage(status))
    throw Error::retry("Connection refused: no server of " + servers + " could be reached (" + describe(status) +
                           unresolved + "). " + std::string(help::connection),
                       status);
  throw Error::fatal("cannot connect to " + servers + " (" + describe(status) + ")", status);
}

std::uint16_t port_of(const std::string& server) {
  return static_cast<std::uint16_t>(std::stoul(server.substr(server.rfind(':') + 1)));
}

std::vector<std::uint16_t> ports_of(const std::vector<std::string>& servers) {
  std::vector<std::uint16_t> ports;
  for (const auto& server : servers) ports.push_back(port_of(server));
  return ports;
}

// Notices a peer that vanished without a word while nothing is in flight. cnats's own PING timer would close the
// connection from another thread, in the middle of a read of ours.
void watch_peer(int fd) {
  const int on = 1;
  const int idle_s = 10;
  const int interval_s = 5;
  const int probes = 3;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// Of a URL as cnats gives it, without user info: "nats://host:port".
std::string host_of(const std::string& url) {
  const auto begin = url.find("://") + 3;
  std::string host = url.substr(begin, url.rfind(':') - begin);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return host;
}

// The servers whose names resolve by then, all being looked up at once; `unresolved` tells of the others. cnats looks
// names up itself, but waits for as long as the resolver is silent.
std::vector<std::string> resolving(const std::vector<std::string>& servers, Clock::time_point until,
                                   std::string& unresolved) {
  std::vector<std::future<void>> lookups;
  try {
    for (const auto& server : servers)
      lookups.push_back(std::async(std::launch::async, [&] { net::resolve(host_of(server), port_of(server), until); }));
  } catch (const std::system_error& error) {
    throw Error::retry(std::string("there is no thread to look up a name with: ") + error.what());
  }
  std::vector<std::string> known;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    try {
      lookups[i].get();
      known.push_back(servers[i]);
    } catch (const Error& error) {
      unresolved += std::string("; ") + error.what();
    }
  }
  return known;
}

bool is_address(const std::string& host) {
  in6_addr ignored{};
  return ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 || ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

natsStatus sign_with_seed(char** error, unsigned char** signature, int* size, const char* nonce, void* seed) {
  *error = nullptr;
  return nats_Sign(static_cast<const char*>(seed), nonce, signature, size);
}

// Keeps cnats from printing to stderr; denial() looks at what the server said. Runs on cnats's thread.
void ignore_async_error(natsConnection*, natsSubscription*, natsStatus, void*) {}

struct Authenticate {
  natsOptions* options;

  natsStatus operator()(std::monostate) const { return NATS_OK; }
  natsStatus operator()(const CredentialsFile& way) const {
    return natsOptions_SetUserCredentialsFromFiles(options, way.path.c_str(), nullptr);
  }
  natsStatus operator()(const NkeySeed& way) const {
    // The seed is used while connecting only; the settings outlive that.
    return natsOptions_SetNKey(options, way.public_key.c_str(), sign_with_seed, const_cast<char*>(way.seed.c_str()));
  }
  // cnats puts these into the JSON of its CONNECT as they are.
  natsStatus operator()(const Token& way) const {
    return natsOptions_SetToken(options, json_escaped(way.token).c_str());
  }
  natsStatus operator()(const UserPassword& way) const {
    return natsOptions_SetUserInfo(options, json_escaped(way.username).c_str(), json_escaped(way.password).c_str());
  }
};

}  // namespace

std::string_view Reply::subject_suffix() const {
  const std::string_view subject = natsMsg_GetSubject(message);
  return subject.substr(std::min(prefix_size, subject.size()));
}

std::string_view Reply::reply_subject() const {
  const char* subject = natsMsg_GetReply(message);
  return subject == nullptr ? "" : subject;
}

std::string Reply::header(const char* name) const {
  const char* value = nullptr;
  return natsMsgHeader_Get(message, name, &value) == NATS_OK && value != nullptr ? value : "";
}

std::string Reply::swallowed_header(std::string_view name) const {
  const auto free_all = [](const char** list) { std::free(static_cast<void*>(list)); };
  const char** keys = nullptr;
  int count = 0;
  if (natsMsgHeader_Keys(message, &keys, &count) != NATS_OK) return {};
  const std::unique_ptr<const char*, decltype(free_all)> names(keys, free_all);
  for (int i = 0; i < count; ++i) {
    const char* text = nullptr;
    if (natsMsgHeader_Get(message, keys[i], &text) != NATS_OK || text == nullptr) continue;
    std::string_view value = text;
    if (!value.starts_with(name)) continue;
    value.remove_prefix(name.size());
    if (!value.starts_with(':')) continue;
    value.remove_prefix(std::min(value.find_first_not_of(' ', 1), value.size()));
    return std::string(value);
  }
  return {};
}

std::string_view Reply::data() const {
  const int size = natsMsg_GetDataLength(message);
  return {natsMsg_GetData(message), static_cast<std::size_t>(size)};
}

natsStatus Connection::attach(void** user_data, void* loop, [[maybe_unused]] natsConnection* connection, natsSock fd) {
  static_cast<Loop*>(loop)->fd = fd;
#ifdef HAVE_PROCESS_DETACHED_EVENT
  static_cast<Loop*>(loop)->connection = connection;
#endif
  ConnectLimit::claim(fd);
  watch_peer(fd);
  *user_data = loop;
  return NATS_OK;
}

// Reading is of interest until it is not any more: then cnats leaves the socket, from 3.9.2 on also its closing.
natsStatus Connection::read_interest(void* user_data, bool wanted) {
  if (wanted) return NATS_OK;
  natsSock socket = std::exchange(static_cast<Loop*>(user_data)->fd, -1);
  ConnectLimit::release(socket);
#ifdef HAVE_PROCESS_CLOSE_EVENT
  natsConnection_ProcessCloseEvent(&socket);
#endif
  return NATS_OK;
}

// Writing is of interest whenever something is buffered: cnats's requests add nothing.
natsStatus Connection::write_interest(void*, bool) {
  return NATS_OK;
}

natsStatus Connection::detach(void* user_data) {
  auto& loop = *static_cast<Loop*>(user_data);
  ConnectLimit::release(std::exchange(loop.fd, -1));
#ifdef HAVE_PROCESS_DETACHED_EVENT
  natsConnection_ProcessDetachedEvent(std::exchange(loop.connection, nullptr));
#endif
  return NATS_OK;
}

Connection::Connection(const Settings& settings, Clock::time_point deadline)
    : configured_(settings.server_list()), api_prefix_(settings.api_prefix) {
  const ClusterServers remembered = remembered_servers(configured_);
  // Servers are tried one after the other, and the checks that follow need time too.
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
  const auto share = left * 3 / 4 / static_cast<int>(settings.servers.size() + remembered.urls.size());
  const auto per_server = std::max(share, milliseconds(1));
  try {
    connect(settings, settings.servers, per_server);
  } catch (const Error& error) {
    if (error.status() != TIDE_RETRY || !connect_to_remembered(settings, remembered, per_server)) throw;
  }
  subscribe();
  // Twice: newer servers (2.15) send their INFO again once connected, and that is no word on the inbox yet.
  await_sign_of_life(deadline);
  await_sign_of_life(deadline);
}

// The newest word of the cluster. An address of a server that has left may be a stranger's by and by.
Connection::~Connection() {
  if (!connection_) return;
  ClusterServers servers{{}, host_};
  char** urls = nullptr;
  int count = 0;
  if (natsConnection_GetDiscoveredServers(connection_.get(), &urls, &count) != NATS_OK) return;
  for (int i = 0; i < count; ++i) {
    servers.urls.emplace_back(urls[i]);
    std::free(urls[i]);
  }
  std::free(static_cast<void*>(urls));
  // Where it is not one that is configured, it counts among those that the cluster told of.
  if (("," + configured_ + ",").find("," + server_ + ",") == std::string::npos) servers.urls.push_back(server_);
  remember_servers(configured_, std::move(servers));
}

void Connection::connect(const Settings& settings, const std::vector<std::string>& servers, milliseconds per_server) {
  const auto now = Clock::now();
  const auto until = now + per_server * static_cast<int>(servers.size());
  std::string unresolved;
  const auto known = resolving(servers, now + (until - now) / 2, unresolved);
  if (known.empty())
    throw Error::retry("no server of " + settings.server_list() + " could be reached" + unresolved, NATS_NO_SERVER);
  const OptionsPtr options = make_options(settings, known, per_server);
  natsConnection* connection = nullptr;
  natsStatus status = NATS_OK;
  {
    const ConnectLimit limit(until, ports_of(known));
    status = natsConnection_Connect(&connection, options.get());
  }
  if (status == NATS_TIMEOUT || (status != NATS_OK && Clock::now() >= until))
    throw Error::retry("no server of " + settings.server_list() + " completed a connection in time (" +
                           describe(status) + unresolved + "). " + std::string(help::connection),
                       NATS_TIMEOUT);
  if (status != NATS_OK) throw_connect_error(status, settings, unresolved);
  connection_.reset(connection);

  char url[256] = "";
  natsConnection_GetConnectedUrl(connection, url, sizeof url);
  server_ = url;
  if (host_.empty()) host_ = host_of(server_);
}

// One at a time: cnats then counts all others among those that it is told of. That one of them does not let us in, says
// nothing: the configured ones are down.
bool Connection::connect_to_remembered(const Settings& settings, const ClusterServers& remembered,
                                       milliseconds per_server) {
  host_ = remembered.host;
  for (const auto& url : remembered.urls) {
    try {
      connect(settings, {url}, per_server);
      return true;
    } catch (const Error&) {
      continue;
    }
  }
  return false;
}

OptionsPtr Connection::make_options(const Settings& settings, const std::vector<std::string>& servers,
                                    milliseconds per_server) {
  natsOptions* raw = nullptr;
  check(natsOptions_Create(&raw), "cannot create the connection's options");
  OptionsPtr options(raw);

  std::vector<const char*> urls;
  for (const auto& server : servers) urls.push_back(server.c_str());
  check(natsOptions_SetServers(raw, urls.data(), static_cast<int>(urls.size())), "url is not valid");
  check(natsOptions_SetName(raw, settings.client_name.c_str()), "cannot name the connection");
  check(natsOptions_SetTimeout(raw, per_server.count()), "cannot set the connect timeout");
  check(natsOptions_SetWriteDeadline(raw, write_deadline.count()), "cannot set the write deadline");
  check(natsOptions_SetAllowReconnect(raw, false), "cannot turn reconnecting off");
  check(natsOptions_SetErrorHandler(raw, ignore_async_error, nullptr), "cannot set the error handler");
  check(lame_duck_.listen(raw), "cannot listen for the server's leave-taking");
  // No thread of cnats's may touch this connection: no flusher, no ping timer (see watch_peer).
  check(natsOptions_SetSendAsap(raw, true), "cannot turn the flusher off");
  check(natsOptions_SetPingInterval(raw, 0), "cannot turn the ping timer off");
  check(natsOptions_SetEventLoop(raw, &loop_, attach, read_interest, write_interest, detach),
        "cannot set the event loop");

  if (settings.tls) check(natsOptions_SetSecure(raw, true), "cannot turn TLS on");
  // As cnats does it where it reconnects by itself: a cluster tells addresses, certificates carry names.
  if (settings.tls && !host_.empty() && !is_address(host_))
    check(natsOptions_SetExpectedHostname(raw, host_.c_str()), "cannot set the expected host name");
  if (!settings.tls_ca_cert.empty())
    check(natsOptions_LoadCATrustedCertificates(raw, settings.tls_ca_cert.c_str()),
          "cannot load tls_ca_cert '" + settings.tls_ca_cert + "'");
  if (!settings.tls_server_name.empty())
    check(natsOptions_SetExpectedHostname(raw, settings.tls_server_name.c_str()), "cannot set tls_server_name");
  if (!settings.tls_client_cert.empty())
    if (const natsStatus status =
            natsOptions_LoadCertificatesChain(raw, settings.tls_client_cert.c_str(), settings.tls_client_key.c_str());
        status != NATS_OK)
      throw Error::fatal("cannot use tls_client_cert '" + settings.tls_client_cert + "' with tls_client_key '" +
                             settings.tls_client_key + "' (" + describe(status) +
                             "). Both must be PEM, the key without a passphrase, and belong together.",
                         status);
  check(std::visit(Authenticate{raw}, settings.authentication), "cannot set the credentials");
  return options;
}

void Connection::subscribe() {
  natsInbox* inbox = nullptr;
  check(natsInbox_Create(&inbox), "cannot create an inbox");
  inbox_prefix_ = std::string(inbox) + ".";
  natsInbox_Destroy(inbox);

  natsSubscription* subscription = nullptr;
  check(natsConnection_SubscribeSync(&subscription, connection_.get(), (inbox_prefix_ + "*").c_str()),
        "cannot subscribe to the inbox");
  subscription_.reset(subscription);
  // Acknowledgements are bounded by what is in flight; the default limits would drop some.
  check(natsSubscription_SetPendingLimits(subscription, -1, -1), "cannot lift the inbox's limits");
}

void Connection::publish(MessagePtr message) {
  sent_.push_back(std::move(message));
  if (const natsStatus status = natsConnection_PublishMsg(connection_.get(), sent_.back().get()); status != NATS_OK) {
    throw_if_closed();
    throw Error::fatal("cannot publish to " + server_ + ": " + describe(status), status);
  }
  if (!socket_full_ && buffered() >= write_size) flush();
}

void Connection::flush() {
  if (buffered() == 0) return;  // writing nothing looks to cnats like a closed connection
  natsConnection_ProcessWriteEvent(connection_.get());
  sent_.clear();
  throw_if_closed();
  socket_full_ = buffered() != 0;
}

std::size_t Connection::buffered() const {
  return static_cast<std::size_t>(std::max(0, natsConnection_Buffered(connection_.get())));
}

void Connection::pump(milliseconds timeout) {
  replies_.clear();
  throw_if_closed();
  pollfd socket{loop_.fd, POLLIN | POLLRDHUP, 0};
  if (buffered() != 0) socket.events |= POLLOUT;
  if (::poll(&socket, 1, static_cast<int>(timeout.count())) <= 0) return;  // nothing yet, or a signal

  if ((socket.revents & POLLOUT) != 0) flush();
  const bool ended = (socket.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  if (ended || ((socket.revents & POLLIN) != 0 && readable())) {
    heard_ = Clock::now();
    natsConnection_ProcessReadEvent(connection_.get());
  }
  throw_if_closed();
  if (const std::string refused = denial(); !refused.empty() && refused != forgiven_denial_)
    throw Error::fatal(
        "Authorization violation: " + server_ + " answered \"" + refused + "\". " + std::string(help::authorization),
        NATS_NOT_PERMITTED);
}

bool Connection::readable() {
  if (!tls_) tls_ = begins_tls_record(loop_.fd);
  return !*tls_ || whole_record_arrived(loop_.fd);
}

Reply Connection::next_reply() {
  natsMsg* message = nullptr;
  switch (natsSubscription_NextMsg(&message, subscription_.get(), 0)) {
    case NATS_OK: {
      replies_.emplace_back(message);
      const bool answer = std::string_view(natsMsg_GetSubject(message)).starts_with(inbox_prefix_);
      return {answer ? Reply::Kind::message : Reply::Kind::delivery, message, inbox_prefix_.size()};
    }
    case NATS_NO_RESPONDERS:
      return {Reply::Kind::no_responders, nullptr, 0};
    default:
      return {};
  }
}

void Connection::require_right_to_publish(const std::string& subject, Clock::time_point deadline) {
  send(subject, reserved_reply, {});
  await_sign_of_life(deadline);
}

void Connection::ask(const std::string& api, std::string_view payload, const std::string& suffix) {
  send(api_prefix_ + api, inbox_prefix_ + suffix, payload);
}

void Connection::tell(const std::string& api) {
  send(api_prefix_ + api, {}, {});
}

void Connection::send(const std::string& subject, const std::string& reply, std::string_view payload) {
  natsMsg* raw = nullptr;
  check(natsMsg_Create(&raw, subject.c_str(), reply.empty() ? nullptr : reply.c_str(), payload.data(),
                       static_cast<int>(payload.size())),
        "cannot create a request");
  publish(MessagePtr(raw));
  flush();
}

Reply Connection::request(const std::string& api, std::string_view payload, Clock::time_point deadline) {
  ask(api, payload, "request");
  for (;;) {
    if (Reply reply = next_reply(); reply.kind != Reply::Kind::none) return reply;
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds::zero())
      throw Error::retry(server_ + " did not answer " + api_prefix_ + api + " in time", NATS_TIMEOUT);
    pump(left);
  }
}

// The one way to send a PING in the event-loop mode: the loop does not run meanwhile, so the call waits its time in
// vain, and the PONG is seen as something that was read.
void Connection::ping() {
  natsConnection_FlushTimeout(connection_.get(), 1);
  pinged_ = Clock::now();
  flush();
}

// What the server has to say against what was sent before comes with it: pump() throws that.
void Connection::await_sign_of_life(Clock::time_point deadline) {
  ping();
  while (heard_ < pinged_) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds::zero()) throw Error::retry(server_ + " did not answer in time", NATS_TIMEOUT);
    pump(left);
  }
}

void Connection::keep_alive() {
  const auto now = Clock::now();
  if (heard_ < pinged_) {
    if (now - pinged_ < pong_deadline) return;
    throw Error::retry(server_ + " gave no sign of life for " +
                           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - heard_).count()) +
                           " s. The server may hang, or the network to it be cut.",
                       NATS_STALE_CONNECTION);
  }
  if (now - heard_ >= ping_interval) ping();
}

std::string Connection::denial() const {
  const char* text = nullptr;
  if (natsConnection_GetLastError(connection_.get(), &text) != NATS_NOT_PERMITTED) return {};
  std::string said = text;
  return said.find(reserved_reply) == std::string::npos ? said : std::string();
}

bool Connection::denied_api(std::string_view api) const {
  return denial().find("Publish to \"" + api_prefix_ + std::string(api)) != std::string::npos;
}

void Connection::throw_if_closed() const {
  if (!natsConnection_IsClosed(connection_.get())) return;
  const char* text = nullptr;
  const natsStatus status = natsConnection_GetLastError(connection_.get(), &text);
  // What the server said last may have been about something else.
  const bool stale = std::string_view(text).find("ermissions Violation") != std::string_view::npos;
  const std::string said = natsStatus_GetText(status) + (stale ? std::string() : std::string(", ") + text);
  if (status == NATS_CONNECTION_AUTH_FAILED)
    throw Error::fatal("Authorization violation: " + server_ + " closed the connection (" + said + "). " +
                           std::string(help::authorization),
                       status);
  if (said.find("Authentication Expired") != std::string::npos ||
      said.find("Authentication Revoked") != std::string::npos)
    throw Error::retry(server_ + " ended the connection (" + text +
                           "). credentials_file is read again at the next attempt: put valid credentials there.",
                       status);
  throw Error::retry("the connection to " + server_ + " was lost (" + said + "). " + std::string(help::connection),
                     status);
}

}  // namespace tide::nats
