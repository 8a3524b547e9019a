// The property of the reading rule: whatever transactions do, each committed event is delivered exactly once, in the
// causal order of its key, and none waits for a transaction that stays open. The same transactions against a reader
// that asks for `id > last` show that the workload can tell the two apart.
//
// TIDE_TEST_SEED repeats a run's choices (not its interleaving).

#include <gtest/gtest.h>

#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>

#include "database.hpp"
#include "source/outbox_reader.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

constexpr int kWriters = 24;
constexpr int kTransactions = 100;  // of each writer
constexpr int kKeys = 10;           // of each kind
constexpr int kPreparedAtOnce = 40;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
  bool one_in(int n) { return between(1, n) == 1; }

 private:
  std::mt19937_64 engine_;
};

std::uint64_t seed() {
  if (const char* text = std::getenv("TIDE_TEST_SEED")) return std::strtoull(text, nullptr, 10);
  return std::random_device{}();
}

// Counts the reads, so that a transaction can stay open across a number of them, or until it is sure to come late.
class ReadClock {
 public:
  void tick(std::int64_t last_id) {
    last_id_ = last_id;
    ++reads_;
    reads_.notify_all();
  }
  void wait(int reads) const { wait_until_passed(INT64_MAX, reads); }
  // Until an event with a higher id was delivered, or after so many reads.
  void wait_until_passed(std::int64_t id, int reads) const {
    const int first = reads_;
    for (int now = first; now - first < reads && last_id_ <= id && !stopped_; now = reads_) reads_.wait(now);
  }
  // Nothing waits any more.
  void stop() {
    stopped_ = true;
    ++reads_;
    reads_.notify_all();
  }

 private:
  std::atomic<int> reads_ = 0;
  std::atomic<std::int64_t> last_id_ = 0;
  std::atomic<bool> stopped_ = false;
};

// Which ways of being difficult the transactions took.
struct Kinds {
  std::atomic<int> early = 0, subtransactions = 0, prepared = 0, rolled_back = 0, waited = 0, bulk = 0, keyed = 0;
};

// Many sessions that publish into the outbox `box` in every way that a transaction can.
class Workload {
 public:
  Workload(std::string url, std::uint64_t seed, ReadClock& clock)
      : url_(std::move(url)), clock_(clock), still_writing_(kWriters), stays_open_(settings(url_)) {
    stays_open_.query(
        "SELECT tide.outbox_create('box');"
        "CREATE TABLE counters (key integer PRIMARY KEY, version integer NOT NULL);"
        "CREATE TABLE attached (key integer PRIMARY KEY, version integer NOT NULL);"
        "INSERT INTO counters SELECT k, 0 FROM generate_series(1, " +
        std::to_string(kKeys) +
        ") k;"
        "INSERT INTO attached SELECT 100 + k, 0 FROM generate_series(1, " +
        std::to_string(kKeys) +
        ") k;"
        "SELECT tide.outbox_attach('attached', 'box')");
    stays_open_.query("BEGIN");
    publish(stays_open_, 30, "commit");
    for (int i = 0; i < kWriters; ++i) {
      writers_.emplace_back([this, i, seed] {
        guarded([&] { write(i, Random(seed + static_cast<std::uint64_t>(i))); });
        const std::lock_guard lock(mutex_);
        if (--still_writing_ == 0) decisions_ready_.notify_all();
      });
    }
    for (int i = 0; i < 2; ++i) {
      writers_.emplace_back([this] {
        guarded([&] { decide_prepared(); });
        ++deciders_done_;
      });
    }
  }

  ~Workload() { give_up(); }
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;

  // False once everything has ended but the transaction that stays open.
  bool running() const { return deciders_done_ < 2; }

  // The transaction that was open all the time ends.
  void commit_last() {
    publish(stays_open_, 30, "commit");
    stays_open_.query("COMMIT");
  }

  const Kinds& kinds() const { return kinds_; }
  std::string errors() const { return errors_; }

 private:
  template <typename Call>
  void guarded(const Call& call) {
    try {
      call();
    } catch (const std::exception& e) {
      std::unique_lock lock(mutex_);
      errors_ += std::string(e.what()) + '\n';
      lock.unlock();
      give_up();
    }
  }

  void give_up() {
    clock_.stop();
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    decisions_ready_.notify_all();
  }

  static std::string payload(const std::string& fate) { return R"({"fate": ")" + fate + R"("})"; }

  // Returns the highest id. A way of writing for each kind of statement that PostgreSQL executes differently.
  static std::int64_t publish(pg::Session& session, int count, const std::string& fate, int way = 3) {
    const std::string json = payload(fate);
    const std::string n = std::to_string(count);
    switch (way) {
      case 0:
        for (int i = 0; i < count; ++i) session.query("SELECT tide.outbox_publish('box', '" + json + "')");
        break;
      case 1: {
        std::string values;
        for (int i = 0; i < count; ++i) values += (i > 0 ? ", ('box', '" : "('box', '") + json + "', 'update')";
        session.query("INSERT INTO tide.outbox_messages (outbox, payload, op) VALUES " + values);
        break;
      }
      case 2:
        session.query("COPY tide.outbox_messages (outbox, payload) FROM PROGRAM 'yes ''box|" + json + "'' | head -" +
                      n + "' (DELIMITER '|')");
        break;
      default:
        session.query("INSERT INTO tide.outbox_messages (outbox, payload) SELECT 'box', '" + json +
                      "' FROM generate_series(1, " + n + ") g ORDER BY random()");
    }
    return session.query("SELECT currval('tide.outbox_message_id')").integer(0, 0);
  }

  // Counts the key up and publishes the new version, all under the row's lock.
  static void publish_version(pg::Session& session, int key, const std::string& fate, int way) {
    const std::string k = std::to_string(key);
    const std::string object = "jsonb_build_object('key', key, 'version', version, 'fate', '" + fate + "')";
    switch (way) {
      case 0:
        session.query("UPDATE attached SET version = version + 1 WHERE key = 100 + " + k);
        break;
      case 1:
        session.query("WITH new AS (UPDATE counters SET version = version + 1 WHERE key = " + k +
                      " RETURNING *)"
                      " INSERT INTO tide.outbox_messages (outbox, payload) SELECT 'box', " +
                      object + " FROM new");
        break;
      default:
        session.query("SELECT FROM counters WHERE key = " + k + " FOR UPDATE");
        session.query("UPDATE counters SET version = version + 1 WHERE key = " + k);
        session.query("SELECT tide.outbox_publish('box', " + object + ") FROM counters WHERE key = " + k);
    }
  }

  void write(int writer, Random random) {
    pg::Session session(settings(url_));
    const int bulk = writer % 3 == 0 ? random.between(0, kTransactions - 1) : -1;
    for (int i = 0; i < kTransactions && !given_up_; ++i) {
      session.query("BEGIN");
      const bool commits = !random.one_in(6);
      if (random.one_in(4)) {
        ++kinds_.early;
        session.query("SELECT pg_current_xact_id()");
        clock_.wait(random.between(1, 15));
      }
      if (i == bulk) {
        ++kinds_.bulk;
        const auto last =
            publish(session, random.between(1000, 2500), commits ? "commit" : "rollback", random.one_in(3) ? 2 : 3);
        clock_.wait_until_passed(last, 60);
      } else if (random.one_in(3)) {
        ++kinds_.keyed;
        const int key = random.between(1, kKeys);
        const bool attached = random.one_in(3);  // a transaction that locked rows of both tables could deadlock
        for (int n = random.between(1, 4); n > 0; --n) {
          const int way = attached ? 0 : random.between(1, 2);
          const bool back = random.one_in(4);
          session.query("SAVEPOINT version");
          publish_version(session, key, commits && !back ? "commit" : "rollback", way);
          if (random.one_in(8)) clock_.wait(random.between(1, 4));
          session.query(back ? "ROLLBACK TO version" : "RELEASE version");
        }
      } else {
        publish(session, random.between(1, 12), commits ? "commit" : "rollback",
                random.one_in(20) ? 2 : random.between(0, 1));
      }
      if (random.one_in(4)) subtransactions(session, random, commits);
      if (random.one_in(12)) {
        ++kinds_.waited;
        clock_.wait(random.between(5, 40));
        publish(session, random.between(1, 3), commits ? "commit" : "rollback", 0);
      }
      if (random.one_in(6)) {
        prepare(session, commits);
      } else {
        if (!commits) ++kinds_.rolled_back;
        session.query(commits ? "COMMIT" : "ROLLBACK");
      }
    }
  }

  void subtransactions(pg::Session& session, Random& random, bool commits) {
    ++kinds_.subtransactions;
    if (random.one_in(5)) {  // more than a backend's entry in shared memory holds (64)
      session.query(
          "DO $$ BEGIN FOR i IN 1..90 LOOP BEGIN"
          " INSERT INTO tide.outbox_messages (outbox, payload)"
          " VALUES ('box', jsonb_build_object('fate', CASE WHEN i % 3 = 0 THEN 'rollback' ELSE '" +
          std::string(commits ? "commit" : "rollback") +
          "' END));"
          " IF i % 3 = 0 THEN RAISE division_by_zero; END IF;"
          " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$");
      return;
    }
    for (int n = random.between(1, 5); n > 0; --n) {
      const bool back = random.one_in(2);
      session.query("SAVEPOINT outer_one; SAVEPOINT inner_one");
      publish(session, random.between(1, 3), commits && !back ? "commit" : "rollback", random.between(0, 1));
      session.query(back ? "ROLLBACK TO outer_one" : "RELEASE outer_one");
    }
  }

  void prepare(pg::Session& session, bool commits) {
    std::unique_lock lock(mutex_);
    decisions_ready_.wait(lock, [this] { return prepared_ < kPreparedAtOnce || given_up_; });
    ++prepared_;
    const std::string name = "'prepared " + std::to_string(++kinds_.prepared) + "'";
    lock.unlock();
    session.query("PREPARE TRANSACTION " + name);
    lock.lock();
    decisions_.push_back((commits ? "COMMIT PREPARED " : "ROLLBACK PREPARED ") + name);
    decisions_ready_.notify_all();
  }

  // Another session than the one that prepared it ends a transaction, some reads later.
  void decide_prepared() {
    pg::Session session(settings(url_));
    for (;;) {
      std::unique_lock lock(mutex_);
      decisions_ready_.wait(lock, [this] { return !decisions_.empty() || still_writing_ == 0; });
      if (decisions_.empty()) return;
      const std::string decision = decisions_.front();
      decisions_.pop_front();
      lock.unlock();
      clock_.wait(4);
      session.query(decision);
      lock.lock();
      --prepared_;
      decisions_ready_.notify_all();
    }
  }

  const std::string url_;
  ReadClock& clock_;
  Kinds kinds_;
  mutable std::mutex mutex_;
  std::condition_variable decisions_ready_;
  std::deque<std::string> decisions_;
  int prepared_ = 0;
  std::string errors_;
  std::atomic<bool> given_up_ = false;
  int still_writing_;
  std::atomic<int> deciders_done_ = 0;
  pg::Session stays_open_;
  std::vector<std::jthread> writers_;  // last: they use the rest
};

struct Delivered {
  std::int64_t id = 0;
  std::string payload;
};

// A way of reading the outbox, and what it has delivered.
class Rule {
 public:
  Rule() = default;
  Rule(const Rule&) = delete;
  Rule& operator=(const Rule&) = delete;
  virtual ~Rule() = default;
  // Reads once. Returns whether there was nothing to read.
  virtual bool read() = 0;

  std::vector<Delivered> delivered;
  int reads = 0;
  int late_pages = 0;
  int cut_late_pages = 0;
  int restarts = 0;
};

// The reader, continued from every kind of position, by a relay that crashes again and again.
class SnapshotRule : public Rule {
 public:
  SnapshotRule(const std::string& url, std::uint64_t seed)
      : sessions_(settings(url), 1, OutboxReader::prepare_session), random_(seed) {
    start_reader();
  }

  bool read() override {
    constexpr int kLimits[] = {3, 40, 500};
    const auto limit = static_cast<std::size_t>(random_.between(1, kLimits[random_.between(0, 2)]));
    const std::size_t max_bytes = random_.one_in(4) ? static_cast<std::size_t>(random_.between(1, 2000)) : 100'000'000;
    auto page = reader_->read(position_, limit, max_bytes);
    ++reads;
    EXPECT_LE(page->events.size(), limit);
    EXPECT_LE(page->late_count, page->events.size());
    if (page->late_count > 0) ++late_pages;
    if (page->end.late) ++cut_late_pages;
    const bool drained = page->events.empty() && !page->full;
    const std::size_t first = delivered.size();
    for (std::size_t i = 0; i < page->events.size(); ++i) {
      const auto& event = page->events[i];
      EXPECT_EQ(i < page->late_count, event.id <= position_.last_id) << "event " << event.id;
      delivered.push_back({event.id, std::string(event.payload)});
    }
    position_ = page->end;
    recent_.push_back({std::move(page), first});
    if (recent_.size() > 6) recent_.pop_front();
    if (!drained && random_.one_in(10)) crash();
    return drained;
  }

 private:
  struct Recent {
    std::shared_ptr<const Page> page;
    std::size_t first;  // where its events begin in `delivered`
  };

  void start_reader() { reader_ = std::make_unique<OutboxReader>(sessions_, 1, "box", "installation/box/"); }

  // The offset was committed somewhere in one of the pages read lately: what came after it comes again.
  void crash() {
    ++restarts;
    const auto at = static_cast<std::size_t>(random_.between(0, static_cast<int>(recent_.size()) - 1));
    const auto [page, first] = recent_[at];
    recent_.resize(at);
    if (page->events.empty() || random_.one_in(8)) {
      delivered.resize(first);
      position_ = page->before;
    } else {
      const auto last = static_cast<std::size_t>(random_.between(0, static_cast<int>(page->events.size()) - 1));
      delivered.resize(first + last + 1);
      position_ = page->after(last);
    }
    if (random_.one_in(2)) start_reader();
  }

  pg::SessionPool sessions_;
  std::unique_ptr<OutboxReader> reader_;
  Position position_;
  std::deque<Recent> recent_;
  Random random_;
};

// What everybody writes first.
class NaiveRule : public Rule {
 public:
  explicit NaiveRule(const std::string& url) : session_(settings(url)) {}

  bool read() override {
    const auto rows = session_.query("SELECT id, payload FROM tide.outbox_1 WHERE id > $1 ORDER BY id LIMIT 200",
                                     {std::to_string(delivered.empty() ? 0 : delivered.back().id)});
    ++reads;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      delivered.push_back({rows.integer(row, 0), std::string(rows.at(row, 1))});
    }
    return rows.empty();
  }

 private:
  pg::Session session_;
};

std::optional<int> number(const std::string& json, const std::string& name) {
  const auto at = json.find('"' + name + "\": ");
  if (at == std::string::npos) return std::nullopt;
  int value = 0;
  std::from_chars(json.data() + at + name.size() + 4, json.data() + json.size(), value);
  return value;
}

struct Verdict {
  std::size_t events = 0;       // committed
  std::size_t lost = 0;         // committed, not delivered
  std::size_t twice = 0;        // delivered again
  std::size_t rolled_back = 0;  // delivered, not committed
  std::size_t disordered = 0;   // a version of a key after a later one, or with a gap before it
};

Verdict judge(const Rule& rule, pg::Session& session) {
  Verdict verdict;
  std::set<std::int64_t> committed;
  const auto rows = session.query("SELECT id FROM tide.outbox_1");
  for (std::size_t row = 0; row < rows.size(); ++row) committed.insert(rows.integer(row, 0));
  verdict.events = committed.size();

  std::set<std::int64_t> seen;
  std::unordered_map<int, int> versions;
  for (const auto& event : rule.delivered) {
    if (!seen.insert(event.id).second) ++verdict.twice;
    if (!committed.contains(event.id) || event.payload.find("rollback") != std::string::npos) ++verdict.rolled_back;
    if (const auto key = number(event.payload, "key")) {
      const int version = number(event.payload, "version").value_or(-1);
      if (version != versions[*key] + 1) ++verdict.disordered;
      versions[*key] = version;
    }
  }
  for (const auto id : committed) verdict.lost += seen.contains(id) ? 0 : 1;
  return verdict;
}

void print(const std::string& name, const Rule& rule, const Kinds& kinds, const Verdict& verdict) {
  std::cout << name << ": " << verdict.events << " events committed, lost " << verdict.lost << ", twice "
            << verdict.twice << ", rolled back " << verdict.rolled_back << ", out of order " << verdict.disordered
            << "; " << rule.reads << " reads, " << rule.late_pages << " with late events, " << rule.cut_late_pages
            << " cut by the limit, " << rule.restarts << " restarts; transactions: " << kinds.early << " early xid, "
            << kinds.subtransactions << " with subtransactions, " << kinds.prepared << " prepared, "
            << kinds.rolled_back << " rolled back, " << kinds.waited << " long, " << kinds.bulk << " bulk, "
            << kinds.keyed << " keyed\n";
}

class ReaderProperty : public testing::Test {
 protected:
  ReaderProperty() : url_(server_.create_database()) {
    install_schema(url_);
    std::cout << "TIDE_TEST_SEED=" << seed_ << '\n';
  }

  static bool drain(Rule& rule, ReadClock& clock) {
    for (int reads = 0; reads < 20'000; ++reads) {
      const bool drained = rule.read();
      clock.tick(rule.delivered.empty() ? 0 : rule.delivered.back().id);
      if (drained) return true;
    }
    return false;
  }

  // Runs the workload against the rule. `before_last` is judged while one transaction is still open.
  void run(const std::string& name, Rule& rule, Verdict& before_last, Verdict& verdict) {
    ReadClock clock;
    Workload workload(url_, seed_, clock);
    while (workload.running()) {
      rule.read();
      clock.tick(rule.delivered.empty() ? 0 : rule.delivered.back().id);
    }
    ASSERT_EQ(workload.errors(), "");
    pg::Session session(settings(url_));
    ASSERT_TRUE(drain(rule, clock));
    before_last = judge(rule, session);
    workload.commit_last();
    ASSERT_TRUE(drain(rule, clock));
    verdict = judge(rule, session);
    print(name, rule, workload.kinds(), verdict);

    EXPECT_EQ(value(session, "SELECT count(*) FROM tide.outbox_1 WHERE payload ->> 'fate' = 'rollback'"), "0");
    EXPECT_EQ(value(session, "SELECT count(*) FROM pg_prepared_xacts"), "0");
    const auto& kinds = workload.kinds();
    for (const auto* kind :
         {&kinds.early, &kinds.subtransactions, &kinds.prepared, &kinds.rolled_back, &kinds.waited, &kinds.keyed}) {
      EXPECT_GT(*kind, 20);
    }
    EXPECT_GE(verdict.events, 20'000U);
  }

  PostgresServer server_{{{"max_prepared_transactions = 50", "max_connections = 100"}}};
  const std::uint64_t seed_ = seed();
  const std::string url_;
};

TEST_F(ReaderProperty, SnapshotRuleDeliversEachCommittedEventOnceInOrderWithoutWaiting) {
  SnapshotRule rule(url_, seed_);
  Verdict before_last;
  Verdict verdict;
  run("snapshot rule", rule, before_last, verdict);
  EXPECT_EQ(before_last.lost, 0U) << "stalled behind the transaction that stayed open";
  EXPECT_EQ(before_last.events + 60, verdict.events);
  EXPECT_EQ(verdict.lost, 0U);
  EXPECT_EQ(verdict.twice, 0U);
  EXPECT_EQ(verdict.rolled_back, 0U);
  EXPECT_EQ(verdict.disordered, 0U);
  EXPECT_GT(rule.late_pages, 100);
  EXPECT_GT(rule.cut_late_pages, 20);
  EXPECT_GT(rule.restarts, 20);
}

TEST_F(ReaderProperty, NaiveRuleLosesEvents) {
  NaiveRule rule(url_);
  Verdict before_last;
  Verdict verdict;
  run("naive rule", rule, before_last, verdict);
  EXPECT_GT(verdict.lost, 0U);
}

}  // namespace
}  // namespace tide::test
