// The one way to PostgreSQL: a thin layer over libpqxx that adds deadlines, people's errors and a pool.
// A Session belongs to one thread at a time. A SessionPool is used by any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace tide::pg {

// The session is gone (or never was), or of no use: PostgreSQL not reachable, restarted, silent past the deadline, or
// read-only.
class ConnectionLost : public Error {
 public:
  using Error::Error;
};

// PostgreSQL was silent past the deadline, and will most likely be so to the next who asks.
class Silent : public ConnectionLost {
 public:
  using ConnectionLost::ConnectionLost;
};

// PostgreSQL refused a statement.
class SqlError : public Error {
 public:
  SqlError(const std::string& text, std::string state) : Error(text), sqlstate(std::move(state)) {}
  const std::string sqlstate;  // five characters
};

// Rows as text. Views into it live as long as a copy of the Result does; copies share.
class Result {
 public:
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] bool is_null(std::size_t row, int column) const;
  [[nodiscard]] std::string_view at(std::size_t row, int column) const;   // empty for NULL
  [[nodiscard]] std::int64_t integer(std::size_t row, int column) const;  // 0 for NULL
  // All columns of a row at once, which costs much less; data() is null for NULL. fields has one place per column.
  void row(std::size_t row, std::span<std::string_view> fields) const;

  struct Rows;
  explicit Result(std::shared_ptr<const Rows> rows) : rows_(std::move(rows)) {}

 private:
  std::shared_ptr<const Rows> rows_;
};

std::int64_t to_integer(std::string_view field);  // 0 for what is none

using Param = std::optional<std::string>;

struct Settings {
  std::string url;                             // a libpq connection string or URL
  std::string application_name;                // as pg_stat_activity shows it
  std::chrono::milliseconds deadline{10'000};  // the longest that one statement may take
};

class Session {
 public:
  explicit Session(const Settings& settings);  // connects; throws ConnectionLost
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // One or more statements, without or with parameters ($1, …; text form; nullopt is NULL). Throws ConnectionLost or
  // SqlError. Outside begin()/commit() each call is a transaction of its own.
  Result query(const std::string& sql);
  Result query(const std::string& sql, const std::vector<Param>& params);

  // The same for a statement that comes often: planned once for this session.
  Result query_prepared(const std::string& name, const std::string& sql, const std::vector<Param>& params);

  void begin();
  void commit();
  void rollback() noexcept;

  // heard(payload) is called, by wait() or any query, for each notification on the channel.
  void listen(const std::string& channel, std::function<void(const std::string& payload)> heard);
  // Returns when a notification came, when stop_fd became readable, or after the timeout.
  void wait(std::chrono::milliseconds timeout, int stop_fd);

  // Throws ConnectionLost, with what to do about it, where the server takes no writes.
  void require_writes();

  // The server that this session reached, and no other that the URL may lead to.
  [[nodiscard]] std::string server_url() const;

  // Tells this session from all others, on whatever server.
  struct Identity {
    std::string pid;
    std::string started;
  };
  Identity identity();
  // Throws ConnectionLost unless that session lives on this one's server.
  void require_beside(const Identity& other);

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Sessions that any thread borrows for a statement or two. At most `size` are open; they are opened on demand.
class SessionPool {
 public:
  SessionPool(Settings settings, std::size_t size, std::function<void(Session&)> prepare);

  class Lease {
   public:
    Lease(SessionPool& pool, std::unique_ptr<Session> session) : pool_(&pool), session_(std::move(session)) {}
    Lease(Lease&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), session_(std::move(other.session_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    Session& operator*() { return *session_; }
    Session* operator->() { return session_.get(); }
    // The session failed: it is closed instead of going back.
    void discard() { session_.reset(); }

   private:
    SessionPool* pool_;
    std::unique_ptr<Session> session_;
    friend class SessionPool;
  };
  Lease borrow();  // waits for a free one; throws ConnectionLost

  // use(session), and once more with another session where the first was lost, as one may be while it waits: so it may
  // do nothing that must not be done twice.
  template <class Use>
  auto run(const Use& use) {
    for (bool again = true;; again = false) {
      auto session = borrow();
      try {
        return use(*session);
      } catch (const ConnectionLost& e) {
        session.discard();
        close_idle();  // the others are most likely lost, too
        if (!again || dynamic_cast<const Silent*>(&e) != nullptr) throw;
      }
    }
  }

  // From now on nobody gets a session, and whoever waits for one waits no longer: ConnectionLost.
  void give_up();

 private:
  void close_idle();
  void give_back(std::unique_ptr<Session> session);

  const Settings settings_;
  const std::size_t size_;
  const std::function<void(Session&)> prepare_;
  std::mutex mutex_;
  std::condition_variable free_;
  std::vector<std::unique_ptr<Session>> idle_;
  std::size_t lent_ = 0;
  bool given_up_ = false;
};

}  // namespace tide::pg
