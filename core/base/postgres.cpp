#include "base/postgres.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <set>

#include "base/connection_options.hpp"
#include "base/deadline_guard.hpp"

// libpqxx 7.10 deprecates calls whose successors version 6 does not have; this file is where the two meet.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <pqxx/pqxx>

namespace tide::pg {

namespace {

constexpr std::chrono::milliseconds kFarewell{1000};  // for closing a session that may hang

// libpq ends its messages with a line break, and tells of a lost connection in several lines.
std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) {
    std::size_t end = at;
    while (end < text.size() && (text[end] == '\n' || text[end] == '\t' || text[end] == ' ')) ++end;
    text.replace(at, end - at, "; ");
  }
  return text;
}

std::string connection_string(const Settings& settings) {
  ConnectionOptions options(settings.url);
  // A server that hangs accepts the connection and says nothing more. libpq counts whole seconds, at least two; the
  // URL's own word and PGCONNECT_TIMEOUT win.
  if (!options.has("connect_timeout") && std::getenv("PGCONNECT_TIMEOUT") == nullptr)
    options.set("connect_timeout", std::to_string(std::chrono::ceil<std::chrono::seconds>(settings.deadline).count()));
  // A session that waits for its turn may outlive what a firewall remembers of it: that is noticed meanwhile.
  for (const auto& [name, value] :
       {std::pair{"keepalives_idle", "30"}, {"keepalives_interval", "10"}, {"keepalives_count", "3"}})
    if (!options.has(name)) options.set(name, value);
  return options.text();
}

// libpq's words for a server that is not one that the URL's target_session_attrs asks for.
bool turned_down(const std::string& text) {
  return text.find("session is read-only") != std::string::npos ||
         text.find("server is in hot standby mode") != std::string::npos;
}

constexpr std::string_view kReadOnly = "25006";

std::string name_the_primary() {
  return "name the primary in the URL, or all servers, so that the one that takes writes is found: "
         "postgresql://HOST1,HOST2/DATABASE?target_session_attrs=read-write";
}

class Receiver : public pqxx::notification_receiver {
 public:
  Receiver(pqxx::connection& conn, const std::string& channel, std::function<void(const std::string&)> heard)
      : pqxx::notification_receiver(conn, channel), heard_(std::move(heard)) {}
  void operator()(const std::string& payload, int /*backend_pid*/) override { heard_(payload); }

 private:
  std::function<void(const std::string&)> heard_;
};

}  // namespace

struct Result::Rows {
  pqxx::result rows;
};

std::size_t Result::size() const {
  return static_cast<std::size_t>(rows_->rows.size());
}

bool Result::is_null(std::size_t row, int column) const {
  return rows_->rows[static_cast<pqxx::result::size_type>(row)][column].is_null();
}

std::string_view Result::at(std::size_t row, int column) const {
  const auto field = rows_->rows[static_cast<pqxx::result::size_type>(row)][column];
  return {field.c_str(), static_cast<std::size_t>(field.size())};
}

std::int64_t Result::integer(std::size_t row, int column) const {
  return to_integer(at(row, column));
}

void Result::row(std::size_t row, std::span<std::string_view> fields) const {
  const auto values = rows_->rows[static_cast<pqxx::result::size_type>(row)];
  auto value = values.begin();
  for (auto& field : fields) {
    field = value->is_null() ? std::string_view()
                             : std::string_view(value->c_str(), static_cast<std::size_t>(value->size()));
    ++value;
  }
}

std::int64_t to_integer(std::string_view field) {
  std::int64_t value = 0;
  std::from_chars(field.data(), field.data() + field.size(), value);
  return value;
}

class Session::Impl {
 public:
  explicit Impl(const Settings& settings) : url_(settings.url), deadline_(settings.deadline), conn_(open(settings)) {
#if PQXX_VERSION_MAJOR < 7
    // A session that came back by itself would have lost its locks without a word.
    conn_->inhibit_reactivation(true);
#endif
  }

  template <typename Call>
  Result run(const Call& call) {
    if (expired_) throw silent();
    if (!conn_->is_open()) throw ConnectionLost("the PostgreSQL session was closed");
    const DeadlineGuard guard(conn_->sock(), deadline_);
    try {
      if (transaction_) return wrap(call(*transaction_));
      pqxx::nontransaction alone(*conn_);
      return wrap(call(alone));
    } catch (const pqxx::transaction_rollback& e) {  // in libpqxx 6 not an sql_error
      const bool deadlock = dynamic_cast<const pqxx::deadlock_detected*>(&e) != nullptr;
      throw SqlError(one_line(e.what()), deadlock ? "40P01" : "40001");
    } catch (const pqxx::insufficient_privilege& e) {  // libpqxx 6 leaves its code out
      throw SqlError(one_line(e.what()), "42501");
    } catch (const pqxx::sql_error& e) {
      if (expired_ = guard.expired(); expired_) throw silent();
      if (e.sqlstate() == kReadOnly) throw ConnectionLost(place() + " takes no writes: " + one_line(e.what()));
      throw SqlError(one_line(e.what()), e.sqlstate());
    } catch (const pqxx::failure& e) {
      throw_lost(guard, e);
    }
  }

  // By a call that the session did not survive: that PostgreSQL was silent, where it was.
  [[noreturn]] void throw_lost(const DeadlineGuard& guard, const pqxx::failure& e) {
    if (expired_ = guard.expired(); expired_) throw silent();
    throw ConnectionLost("the PostgreSQL session was lost: " + one_line(e.what()));
  }

  template <typename Call>
  void control(const Call& call) {
    run([&](pqxx::transaction_base&) {
      call();
      return pqxx::result();
    });
  }

  // For people.
  [[nodiscard]] std::string place() const {
    return "PostgreSQL at " + std::string(conn_->hostname() == nullptr ? "?" : conn_->hostname()) + ":" + conn_->port();
  }

  pqxx::connection& conn() {
    return *conn_;
  }
  std::optional<pqxx::work>& transaction() {
    return transaction_;
  }
  [[nodiscard]] const std::string& url() const {
    return url_;
  }
  [[nodiscard]] std::chrono::milliseconds deadline() const {
    return deadline_;
  }

  std::set<std::string> prepared;
  std::vector<std::unique_ptr<Receiver>> receivers;

 private:
  static std::unique_ptr<pqxx::connection> open(const Settings& settings) {
    const auto options = connection_string(settings);
    try {
      return std::make_unique<pqxx::connection>(options);
    } catch (const std::exception& e) {
      const auto text = one_line(e.what());
      throw ConnectionLost("cannot connect to PostgreSQL: " + text +
                           (turned_down(text)
                                ? "; no server of the URL takes writes, as a relay must: promote one, or name another"
                                : ""));
    }
  }

  static Result wrap(pqxx::result rows) {
    return Result(std::make_shared<const Result::Rows>(Result::Rows{std::move(rows)}));
  }

  [[nodiscard]] Silent silent() const {
    return Silent("PostgreSQL did not answer within " + std::to_string(deadline_.count()) +
                  " ms; the session was given up");
  }

  const std::string url_;
  const std::chrono::milliseconds deadline_;
  std::unique_ptr<pqxx::connection> conn_;
  std::optional<pqxx::work> transaction_;
  bool expired_ = false;  // this session was given up: whoever uses it next is told the same
};

Session::Session(const Settings& settings) : impl_(std::make_unique<Impl>(settings)) {
  // A database whose encoding is SQL_ASCII gives what it holds, whatever that is.
  query(
      "SELECT set_config('application_name', $1, false), set_config('client_encoding',"
      " CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, false)",
      {settings.application_name});
}

Session::~Session() {
  rollback();
  // libpqxx says UNLISTEN, and waits for the answer.
  const DeadlineGuard guard(impl_->conn().sock(), std::min(impl_->deadline(), kFarewell));
  impl_->receivers.clear();
}

Result Session::query(const std::string& sql) {
  return impl_->run([&](pqxx::transaction_base& tx) { return tx.exec(sql); });
}

namespace {
std::vector<const char*> pointers(const std::vector<Param>& params) {
  std::vector<const char*> out;
  out.reserve(params.size());
  for (const auto& p : params) out.push_back(p ? p->c_str() : nullptr);
  return out;
}
}  // namespace

Result Session::query(const std::string& sql, const std::vector<Param>& params) {
  const auto values = pointers(params);
  return impl_->run(
      [&](pqxx::transaction_base& tx) { return tx.exec_params(sql, pqxx::prepare::make_dynamic_params(values)); });
}

Result Session::query_prepared(const std::string& name, const std::string& sql, const std::vector<Param>& params) {
  if (!impl_->prepared.contains(name)) {
    impl_->control([&] { impl_->conn().prepare(name, sql); });
    impl_->prepared.insert(name);
  }
  const auto values = pointers(params);
  return impl_->run(
      [&](pqxx::transaction_base& tx) { return tx.exec_prepared(name, pqxx::prepare::make_dynamic_params(values)); });
}

void Session::begin() {
  const DeadlineGuard guard(impl_->conn().sock(), impl_->deadline());
  try {
    impl_->transaction().emplace(impl_->conn());
  } catch (const pqxx::failure& e) {
    impl_->throw_lost(guard, e);
  }
}

void Session::commit() {
  try {
    impl_->control([&] { impl_->transaction()->commit(); });
  } catch (...) {
    rollback();
    throw;
  }
  impl_->transaction().reset();
}

void Session::rollback() noexcept {
  if (!impl_->transaction()) return;
  const DeadlineGuard guard(impl_->conn().sock(), impl_->deadline());
  try {
    impl_->transaction().reset();
  } catch (const std::exception&) {  // the session is gone, and the transaction with it
  }
}

void Session::listen(const std::string& channel, std::function<void(const std::string&)> heard) {
  impl_->control(
      [&] { impl_->receivers.push_back(std::make_unique<Receiver>(impl_->conn(), channel, std::move(heard))); });
}

void Session::wait(std::chrono::milliseconds timeout, int stop_fd) {
  auto& conn = impl_->conn();
  if (!conn.is_open()) throw ConnectionLost("the PostgreSQL session was closed");
  try {
    if (conn.get_notifs() > 0) return;  // it came with the answer of a query: the socket will not tell of it again
    pollfd fds[] = {{conn.sock(), POLLIN, 0}, {stop_fd, POLLIN, 0}};
    if (::poll(fds, 2, static_cast<int>(timeout.count())) <= 0 || fds[0].revents == 0) return;
    conn.get_notifs();
  } catch (const pqxx::failure& e) {
    throw ConnectionLost("the PostgreSQL session was lost: " + one_line(e.what()));
  }
}

void Session::require_writes() {
  const auto row = query("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')");
  if (row.at(0, 0) == "t") {
    throw ConnectionLost(impl_->place() +
                         " is a standby, which takes no writes, as a relay must: " + name_the_primary());
  }
  if (row.at(0, 1) == "on") {
    throw ConnectionLost(impl_->place() +
                         " is set read-only (default_transaction_read_only), and a relay must write: " +
                         "set that off, or " + name_the_primary());
  }
}

std::string Session::server_url() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, NI_MAXHOST> host{};
  if (::getpeername(impl_->conn().sock(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      (address.ss_family != AF_INET && address.ss_family != AF_INET6) ||
      ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host.data(), host.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
    return impl_->url();  // a socket of this machine
  }
  // The name stays, for TLS and the password file.
  ConnectionOptions options(impl_->url());
  options.set("host", impl_->conn().hostname());
  options.set("hostaddr", host.data());
  options.set("port", impl_->conn().port());
  return options.text();
}

Session::Identity Session::identity() {
  const auto row = query("SELECT pid, backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()");
  return {std::string(row.at(0, 0)), std::string(row.at(0, 1))};
}

void Session::require_beside(const Identity& other) {
  const auto row = query("SELECT FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND backend_start = $2",
                         {other.pid, other.started});
  if (!row.empty()) return;
  throw ConnectionLost("a new session reached " + impl_->place() +
                       ", where the one that holds the relay's locks is not: it is gone, or the address leads to "
                       "another server by now");
}

SessionPool::SessionPool(Settings settings, std::size_t size, std::function<void(Session&)> prepare)
    : settings_(std::move(settings)), size_(size), prepare_(std::move(prepare)) {}

SessionPool::Lease SessionPool::borrow() {
  {
    std::unique_lock lock(mutex_);
    free_.wait(lock, [this] { return given_up_ || lent_ < size_; });
    if (given_up_) throw ConnectionLost("PostgreSQL was lost, and is not asked any more by what is being stopped");
    ++lent_;
    if (!idle_.empty()) {
      auto session = std::move(idle_.back());
      idle_.pop_back();
      return {*this, std::move(session)};
    }
  }
  Lease lease(*this, nullptr);  // gives its place back, and no session, if this one can't be used
  auto session = std::make_unique<Session>(settings_);
  prepare_(*session);
  lease.session_ = std::move(session);
  return lease;
}

SessionPool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->give_back(std::move(session_));
}

void SessionPool::close_idle() {
  std::vector<std::unique_ptr<Session>> idle;
  const std::lock_guard lock(mutex_);
  idle.swap(idle_);
}

void SessionPool::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  free_.notify_all();
}

void SessionPool::give_back(std::unique_ptr<Session> session) {
  const std::lock_guard lock(mutex_);
  --lent_;
  if (session) idle_.push_back(std::move(session));
  free_.notify_one();
}

}  // namespace tide::pg

#pragma GCC diagnostic pop
