// The reader, case by case: what a position means after every row of every kind of page, where a consumer group
// begins, the keys it makes, the wake-up, and the plan that PostgreSQL chooses for it.

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <regex>

#include "database.hpp"
#include "source/outbox_reader.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

using Ids = std::vector<std::int64_t>;

constexpr std::size_t kBytes = 100'000'000;  // more than any page here takes

Ids ids(const Page& page) {
  Ids out;
  for (const auto& event : page.events) out.push_back(event.id);
  return out;
}

// Without a fraction of a number, which PostgreSQL 13 rounds.
const std::string kMicroseconds =
    "(extract(epoch FROM date_trunc('second', created_at))::bigint * 1000000 + to_char(created_at, 'US')::bigint)";

class Reader : public testing::Test {
 protected:
  // Without autovacuum nobody but the test draws xids.
  static void SetUpTestSuite() { server_ = std::make_unique<PostgresServer>(PostgresOptions{{"autovacuum = off"}}); }
  static void TearDownTestSuite() { server_.reset(); }

  Reader() : url_(server_->create_database()) {
    install_schema(url_);
    session_ = connect();
    session_->query("SELECT tide.outbox_create('box')");
    connect_reader();
  }

  void connect_reader() {
    reader_.reset();
    sessions_ = std::make_unique<pg::SessionPool>(settings(url_), 1, OutboxReader::prepare_session);
    reader_ = std::make_unique<OutboxReader>(*sessions_, 1, "box", "installation/box/");
  }

  std::unique_ptr<pg::Session> connect() { return std::make_unique<pg::Session>(settings(url_)); }

  // A session with a transaction that has an xid, drawn now.
  std::unique_ptr<pg::Session> open_transaction() {
    auto session = connect();
    session->query("BEGIN; SELECT pg_current_xact_id()");
    return session;
  }

  static std::int64_t publish(pg::Session& session) {
    return session.query("SELECT tide.outbox_publish('box', '{\"a\": 1}')").integer(0, 0);
  }

  static std::int64_t xid(pg::Session& session) { return session.query("SELECT pg_current_xact_id()").integer(0, 0); }

  std::shared_ptr<const Page> read(const Position& position, std::size_t limit) {
    return reader_->read(position, limit, kBytes);
  }

  // All that comes from a position on, in pages of `limit`.
  Ids rest(Position position, std::size_t limit) {
    Ids out;
    for (;;) {
      const auto page = read(position, limit);
      for (const auto id : ids(*page)) out.push_back(id);
      position = page->end;
      if (page->events.empty() && !page->full) return out;
    }
  }

  // From `position` the ids of `expected` come, whatever the limits are, and wherever it is broken off and resumed.
  void expect_from(const Position& position, const Ids& expected) {
    for (const std::size_t max_bytes : {std::size_t{1}, std::size_t{50}, kBytes}) {
      for (std::size_t limit = 1; limit <= expected.size() + 1; ++limit) {
        expect_from(position, expected, limit, max_bytes);
      }
    }
  }

  void expect_from(const Position& position, const Ids& expected, std::size_t limit, std::size_t max_bytes) {
    SCOPED_TRACE("limit " + std::to_string(limit) + ", " + std::to_string(max_bytes) + " bytes");
    Position at = position;
    for (std::size_t done = 0; done < expected.size();) {
      const auto page = reader_->read(at, limit, max_bytes);
      ASSERT_LE(page->events.size(), limit);
      for (std::size_t i = 0; i < page->events.size(); ++i) {
        ASSERT_LT(done + i, expected.size());
        EXPECT_EQ(page->events[i].id, expected[done + i]);
        const Ids after(expected.begin() + static_cast<std::ptrdiff_t>(done + i + 1), expected.end());
        EXPECT_EQ(rest(stored(page->after(i)), 2), after) << "after " << expected[done + i];
      }
      done += page->events.size();
      ASSERT_TRUE(!page->events.empty() || page->full);
      EXPECT_TRUE(page->full || done == expected.size());
      at = page->end;
    }
    EXPECT_EQ(rest(at, limit), Ids());
  }

  // The position as it comes back from where offsets are kept.
  Position stored(const Position& p) {
    session_->query(
        "INSERT INTO tide.consumer_offsets (outbox_id, consumer_group, pipeline) VALUES (1, 'stored', 'stored')"
        " ON CONFLICT DO NOTHING");
    const auto late = [&](const std::string& text) { return p.late ? pg::Param(text) : std::nullopt; };
    session_->query(
        "UPDATE tide.consumer_offsets SET last_id = $1, snapshot = $2, next_xid = $3, late_snapshot = $4,"
        " late_next_xid = $5, late_id = $6 WHERE pipeline = 'stored'",
        {std::to_string(p.last_id), p.snapshot, std::to_string(p.next_xid), late(p.late ? p.late->snapshot : ""),
         late(std::to_string(p.late ? p.late->next_xid : 0)), late(std::to_string(p.late ? p.late->last_id : 0))});
    return position_of("stored");
  }

  Position position_of(const std::string& pipeline) {
    const auto row = session_->query(
        "SELECT last_id, snapshot, next_xid, late_snapshot, late_next_xid, late_id FROM tide.consumer_offsets"
        " WHERE pipeline = $1",
        {pipeline});
    Position p{row.integer(0, 0), std::string(row.at(0, 1)), row.integer(0, 2), {}};
    if (!row.is_null(0, 3)) p.late = Position::Late{std::string(row.at(0, 3)), row.integer(0, 4), row.integer(0, 5)};
    return p;
  }

  static inline std::unique_ptr<PostgresServer> server_;
  const std::string url_;
  std::unique_ptr<pg::Session> session_;
  std::unique_ptr<pg::SessionPool> sessions_;
  std::unique_ptr<OutboxReader> reader_;
};

TEST_F(Reader, EmptyOutboxKeepsThePosition) {
  const auto page = read({}, 10);
  EXPECT_TRUE(page->events.empty());
  EXPECT_FALSE(page->full);
  EXPECT_EQ(page->end.last_id, 0);
  EXPECT_EQ(page->end.snapshot, "3:3:");
  EXPECT_EQ(page->end.next_xid, 3);
}

TEST_F(Reader, NothingNewKeepsThePosition) {
  publish(*session_);
  const auto end = read({}, 10)->end;
  session_->query("CREATE TABLE elsewhere ()");
  const auto page = read(end, 10);
  EXPECT_TRUE(page->events.empty());
  EXPECT_EQ(page->end.last_id, end.last_id);
  EXPECT_EQ(page->end.snapshot, end.snapshot);
  EXPECT_EQ(page->end.next_xid, end.next_xid);
  EXPECT_NE(page->snapshot, end.snapshot);
}

TEST_F(Reader, PositionAfterEachNewEvent) {
  Ids expected;
  for (int i = 0; i < 5; ++i) expected.push_back(publish(*session_));
  expect_from({}, expected);
}

TEST_F(Reader, FullTellsToReadAgain) {
  for (int i = 0; i < 5; ++i) publish(*session_);
  const auto first = read({}, 3);
  EXPECT_TRUE(first->full);
  EXPECT_FALSE(read(first->end, 3)->full);
}

TEST_F(Reader, PayloadsLimitThePage) {
  for (int i = 0; i < 4; ++i) {
    session_->query("SELECT tide.outbox_publish('box', to_jsonb(repeat('x', 100000)))");  // stored compressed
  }
  const auto page = reader_->read({}, 10, 150'000);
  EXPECT_EQ(page->events.size(), 2U);
  EXPECT_TRUE(page->full);
  EXPECT_EQ(page->events[0].payload.size(), 100'002U);
  EXPECT_EQ(reader_->read({}, 10, 1)->events.size(), 1U) << "at least one";
}

TEST_F(Reader, LateEventsComeFirstThenNewOnes) {
  const auto slow = open_transaction();
  const auto a = publish(*slow);
  publish(*session_);
  const auto b = publish(*slow);
  publish(*session_);
  const auto before = read({}, 10)->end;
  const auto c = publish(*slow);
  slow->query("COMMIT");
  const auto d = publish(*session_);
  EXPECT_EQ(read(before, 10)->late_count, 2U);
  expect_from(before, {a, b, c, d});
}

TEST_F(Reader, LateEventsOfSeveralTransactionsAreOrderedById) {
  std::vector<std::unique_ptr<pg::Session>> slow;
  for (int i = 0; i < 3; ++i) slow.push_back(open_transaction());
  Ids expected;
  for (const int i : {2, 0, 1, 0, 2, 1, 1, 0}) expected.push_back(publish(*slow[static_cast<std::size_t>(i)]));
  publish(*session_);
  const auto before = read({}, 10)->end;
  for (const int i : {1, 2, 0}) slow[static_cast<std::size_t>(i)]->query("COMMIT");
  expected.push_back(publish(*session_));
  expect_from(before, expected);
}

// While the late events of one snapshot are paged through, others commit, below and above them.
TEST_F(Reader, LateEventsOfALaterSnapshotWaitForTheirs) {
  const auto first = open_transaction();
  const auto second = open_transaction();
  Ids of_first;
  Ids of_second;
  for (int i = 0; i < 4; ++i) {
    of_second.push_back(publish(*second));
    of_first.push_back(publish(*first));
  }
  publish(*session_);
  const auto before = read({}, 10)->end;
  first->query("COMMIT");
  const auto page = read(before, 2);
  EXPECT_EQ(ids(*page), Ids(of_first.begin(), of_first.begin() + 2));
  ASSERT_TRUE(page->end.late);
  EXPECT_TRUE(page->full);

  const auto third = publish(*session_);
  second->query("COMMIT");
  Ids expected(of_first.begin() + 2, of_first.end());
  expected.insert(expected.end(), of_second.begin(), of_second.end());
  expected.push_back(third);
  expect_from(stored(page->end), expected);
  EXPECT_EQ(read(page->end, 10)->end.last_id, before.last_id);
}

TEST_F(Reader, ExactlyAFullPageOfLateEvents) {
  const auto slow = open_transaction();
  Ids expected;
  for (int i = 0; i < 2; ++i) expected.push_back(publish(*slow));
  publish(*session_);
  const auto before = read({}, 10)->end;
  slow->query("COMMIT");
  const auto page = read(before, 2);
  EXPECT_EQ(ids(*page), expected);
  const auto next = read(page->end, 2);
  EXPECT_TRUE(next->events.empty());
  EXPECT_FALSE(next->end.late);
  EXPECT_TRUE(next->full) << "new events may have waited for the late ones";
}

// A snapshot lists the running transactions below its xmax, one past the last completed one. This one is above it.
TEST_F(Reader, TransactionAboveTheSnapshotsXmaxIsNotLost) {
  const auto lower = open_transaction();
  const auto above = open_transaction();
  const auto above_xid = xid(*above);
  const auto first = publish(*above);
  const auto second = publish(*lower);
  lower->query("COMMIT");

  const auto page = read({}, 10);
  EXPECT_EQ(ids(*page), Ids{second});
  const std::string text = std::to_string(above_xid);
  ASSERT_EQ(page->snapshot, text + ':' + text + ':') << "the transaction must be in no list for this case";
  EXPECT_EQ(page->next_xid, above_xid + 1);

  above->query("COMMIT");
  expect_from(page->end, {first});
}

// Of two such transactions one ends, and the snapshot in between moves past neither.
TEST_F(Reader, TransactionsAboveTheSnapshotsXmaxEndOneByOne) {
  const auto lower = open_transaction();
  const auto one = open_transaction();
  const auto two = open_transaction();
  const auto a = publish(*two);
  const auto b = publish(*one);
  publish(*lower);
  lower->query("COMMIT");
  auto page = read({}, 10);
  two->query("COMMIT");
  page = read(page->end, 10);
  EXPECT_EQ(ids(*page), Ids{a});
  one->query("COMMIT");
  expect_from(page->end, {b});
}

TEST_F(Reader, RolledBackEventsNeverCome) {
  session_->query("BEGIN");
  publish(*session_);
  session_->query("SAVEPOINT s");
  publish(*session_);
  session_->query("ROLLBACK TO s");
  const auto kept = publish(*session_);
  session_->query("ROLLBACK");
  const auto next = publish(*session_);
  EXPECT_EQ(rest({}, 10), Ids{next});
  EXPECT_EQ(next, kept + 1);
}

TEST_F(Reader, PreparedTransactionIsReadWhenItCommits) {
  session_->query("BEGIN");
  const auto prepared = publish(*session_);
  session_->query("PREPARE TRANSACTION 'p'");
  const auto second = publish(*session_);
  const auto page = read({}, 10);
  EXPECT_EQ(ids(*page), Ids{second});
  session_->query("COMMIT PREPARED 'p'");
  expect_from(page->end, {prepared});
}

TEST_F(Reader, AnotherOutboxesEventsDoNotCome) {
  session_->query("SELECT tide.outbox_create('other'); SELECT tide.outbox_publish('other', '{}')");
  const auto mine = publish(*session_);
  EXPECT_EQ(rest({}, 10), Ids{mine});
}

TEST_F(Reader, NewGroupStartsAtTheEarliestEvent) {
  const auto first = publish(*session_);
  session_->query("SELECT tide.relay_claim('p', 'box', 'g')");
  const auto second = publish(*session_);
  expect_from(position_of("p"), {first, second});
}

// Transactions that run while a group starts at "latest" end after it: their events are later than now.
TEST_F(Reader, LatestStartsAfterWhatIsCommitted) {
  const auto listed = open_transaction();
  const auto a = publish(*listed);
  const auto lower = open_transaction();
  const auto above = open_transaction();
  const auto b = publish(*above);
  publish(*lower);
  lower->query("COMMIT");
  session_->query("SELECT tide.relay_claim('p', 'box', 'g', 'latest')");
  const auto start = position_of("p");
  EXPECT_EQ(rest(start, 10), Ids());

  const auto c = publish(*listed);
  listed->query("COMMIT");
  above->query("COMMIT");
  const auto d = publish(*session_);
  expect_from(start, {a, b, c, d});
}

TEST_F(Reader, LatestOfAnEmptyOutboxWithATransactionThatRuns) {
  const auto running = open_transaction();
  const auto a = publish(*running);
  session_->query("SELECT tide.relay_claim('p', 'box', 'g', 'latest')");
  running->query("COMMIT");
  expect_from(position_of("p"), {a});
}

// The claim's own transaction has its xid already; it is no reader's business what it publishes before.
TEST_F(Reader, LatestClaimedInsideABusyTransaction) {
  const auto running = open_transaction();
  const auto a = publish(*running);
  session_->query("BEGIN");
  publish(*session_);
  const auto above = open_transaction();
  const auto b = publish(*above);
  session_->query("SAVEPOINT s; SELECT tide.relay_claim('p', 'box', 'g', 'latest'); RELEASE s");
  const auto c = publish(*session_);
  running->query("COMMIT");
  session_->query("COMMIT");
  above->query("COMMIT");
  const auto rows = rest(position_of("p"), 10);
  for (const auto id : {a, b, c}) EXPECT_EQ(std::count(rows.begin(), rows.end(), id), 1) << id;
}

TEST_F(Reader, ResumesAfterTheServerCrashed) {
  const auto first = publish(*session_);
  const auto open = open_transaction();
  publish(*open);
  const auto second = publish(*session_);
  const auto page = read({}, 10);
  EXPECT_EQ(ids(*page), (Ids{first, second}));
  server_->stop(Stop::immediate);
  server_->start();

  session_ = connect();
  connect_reader();
  const auto third = publish(*session_);
  expect_from(page->end, {third});
}

TEST_F(Reader, GivesTheRowAsItIs) {
  session_->query(
      "SELECT tide.outbox_publish('box', '{\"b\": 1.50, \"a\": \"\\u00e4\"}', 'my key', 'shipped', '{\"h\": \"x\"}')");
  const auto page = read({}, 10);
  const auto& event = page->events.at(0);
  EXPECT_EQ(event.outbox, "box");
  EXPECT_EQ(event.stream_table, "box");
  EXPECT_EQ(event.op, "shipped");
  EXPECT_EQ(event.key, "my key");
  EXPECT_EQ(event.headers, "{\"h\": \"x\"}");
  EXPECT_EQ(event.payload, "{\"a\": \"\u00e4\", \"b\": 1.50}");
  EXPECT_EQ(std::to_string(event.created_at_us), value(*session_, "SELECT " + kMicroseconds + " FROM tide.outbox_1"));
}

TEST_F(Reader, MakesTheSameKeyAtEachRead) {
  session_->query("INSERT INTO tide.outbox_messages (outbox, payload) SELECT 'box', '{}' FROM generate_series(1, 50)");
  const std::string prefix = value(*session_, "SELECT id || '/box/' FROM tide.installation");
  const auto expected = session_->query("SELECT i.id || '/box/' || o.id || '/' || " + kMicroseconds +
                                        " FROM tide.outbox_1 o, tide.installation i ORDER BY o.id");
  for (int round = 0; round < 2; ++round) {
    pg::SessionPool sessions(settings(url_), 1, OutboxReader::prepare_session);
    sessions.borrow()->query(round == 0 ? "SET TimeZone = 'UTC'"
                                        : "SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'SQL'");
    OutboxReader reader(sessions, 1, "box", prefix);
    const auto page = reader.read({}, 100, kBytes);
    ASSERT_EQ(page->events.size(), 50U);
    for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(page->events[i].key, expected.at(i, 0));
  }
}

TEST_F(Reader, AttachedTableNamesTheStreamTable) {
  session_->query(
      "CREATE TABLE \"Orders\" (id integer); SELECT tide.outbox_attach('\"Orders\"', 'box');"
      "INSERT INTO \"Orders\" VALUES (7)");
  const auto page = read({}, 10);
  EXPECT_EQ(page->events.at(0).stream_table, "Orders");
  EXPECT_EQ(page->events.at(0).outbox, "box");
  EXPECT_EQ(page->events.at(0).op, "insert");
  EXPECT_EQ(page->events.at(0).payload, "{\"id\": 7}");
}

// ---- wake-up

class Wake : public Reader {
 protected:
  Wake() {
    listener_ = connect();
    listener_->listen("tide_wake", [this](const std::string& payload) { heard_ += payload + ' '; });
  }
  ~Wake() override { ::close(stop_); }

  // What was heard until now. Notifications come in the order of commits, so the mark comes after all of them.
  std::string heard() {
    session_->query("NOTIFY tide_wake, 'mark'");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (heard_.find("mark") == std::string::npos && std::chrono::steady_clock::now() < end) {
      listener_->wait(std::chrono::seconds(20), stop_);
    }
    return std::exchange(heard_, "");
  }

  const int stop_ = ::eventfd(0, EFD_CLOEXEC);
  std::string heard_;
  std::unique_ptr<pg::Session> listener_;
};

TEST_F(Wake, PublisherNotifiesOnlyWhileAsked) {
  EXPECT_FALSE(read({}, 10)->wake_asked);
  publish(*session_);
  EXPECT_EQ(heard(), "mark ");

  reader_->ask_wake(true);
  EXPECT_TRUE(read({}, 10)->wake_asked);
  publish(*session_);
  EXPECT_EQ(heard(), "1 mark ");

  reader_->ask_wake(false);
  EXPECT_FALSE(read({}, 10)->wake_asked);
  publish(*session_);
  EXPECT_EQ(heard(), "mark ");
}

TEST_F(Wake, NotifiesOnceAndOnlyAtCommit) {
  reader_->ask_wake(true);
  session_->query("BEGIN");
  for (int i = 0; i < 3; ++i) publish(*session_);
  const auto other = connect();
  other->query("NOTIFY tide_wake, 'other'");
  session_->query("COMMIT");
  EXPECT_EQ(heard(), "other 1 mark ");
  session_->query("BEGIN");
  publish(*session_);
  session_->query("ROLLBACK");
  EXPECT_EQ(heard(), "mark ");
}

TEST_F(Wake, PlainInsertByAPublisherWakes) {
  session_->query("DROP ROLE IF EXISTS app; CREATE ROLE app LOGIN IN ROLE tide_publisher");
  reader_->ask_wake(true);
  auto own = settings(server_->url(value(*session_, "SELECT current_database()"), "app"));
  pg::Session app(own);
  app.query("INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('box', '{}'), ('box', '{}')");
  EXPECT_EQ(heard(), "1 mark ");
  app.query("SELECT tide.outbox_publish('box', '{}')");
  EXPECT_EQ(heard(), "1 mark ");
}

TEST_F(Wake, OtherOutboxesAreNotWoken) {
  session_->query("SELECT tide.outbox_create('other')");
  reader_->ask_wake(true);
  session_->query("SELECT tide.outbox_publish('other', '{}')");
  EXPECT_EQ(heard(), "mark ");
}

TEST_F(Wake, WaitEndsWhenToldToStop) {
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(stop_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  const auto begin = std::chrono::steady_clock::now();
  listener_->wait(std::chrono::seconds(20), stop_);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

// ---- the plan

class Plan : public Reader {
 protected:
  // How PostgreSQL executes the reader's statement, in the session that the reader uses.
  std::string explain(const Position& p, std::size_t limit) {
    read(p, limit);  // prepares it
    auto session = sessions_->borrow();
    const auto rows =
        session->query("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) EXECUTE read_1(" +
                       std::to_string(p.last_id) + ", '" + p.snapshot + "', " + std::to_string(p.next_xid) +
                       ", NULL, 0, " + std::to_string(limit) + ", " + std::to_string(kBytes) + ")");
    std::string text;
    for (std::size_t row = 0; row < rows.size(); ++row) text += std::string(rows.at(row, 0)) + '\n';
    return text;
  }

  // Late rows are found by their transaction, new ones by their id, and no row is looked at in vain.
  void expect_good(const std::string& plan) {
    EXPECT_EQ(plan.find("Seq Scan"), std::string::npos) << plan;
    EXPECT_EQ(plan.find("Bitmap"), std::string::npos) << plan;
    EXPECT_EQ(plan.find("JIT"), std::string::npos) << plan;
    EXPECT_FALSE(std::regex_search(plan, std::regex("Rows Removed by Filter: [1-9]\\d{2}"))) << plan;
    static const std::regex late("Index Scan using outbox_1_xid_id_idx on outbox_1 [^\n]*\n *Index Cond: [^\n]*xid");
    static const std::regex fresh("Index Scan using outbox_1_pkey on outbox_1 [^\n]*\n *Index Cond: \\(id > ");
    EXPECT_TRUE(std::regex_search(plan, late)) << plan;
    EXPECT_TRUE(std::regex_search(plan, fresh)) << plan;
    // The rows of one transaction, and new rows, come from the index in order: above a scan there is its LIMIT.
    static const std::regex scan("([^\n]*)\n *(->  )?Index Scan using outbox_1");
    int scans = 0;
    for (std::sregex_iterator it(plan.begin(), plan.end(), scan), end; it != end; ++it, ++scans) {
      EXPECT_EQ((*it)[1].str().find("Sort"), std::string::npos) << plan;
    }
    EXPECT_EQ(scans, 2) << plan;
  }

  void insert(int transactions, int rows_each) {
    for (int i = 0; i < transactions; ++i) {
      session_->query(
          "INSERT INTO tide.outbox_messages (outbox, payload) SELECT 'box', '{\"a\": 1}'"
          " FROM generate_series(1, " +
          std::to_string(rows_each) + ")");
    }
  }

  // Everything is delivered but for two transactions, of which one ended since.
  Position behind() {
    auto slow = open_transaction();
    still_open_ = open_transaction();
    publish(*slow);
    publish(*still_open_);
    publish(*session_);
    Position position;
    position.last_id = session_->query("SELECT max(id) FROM tide.outbox_1").integer(0, 0);
    const auto row = session_->query("SELECT pg_current_snapshot(), pg_snapshot_xmax(pg_current_snapshot())");
    position.snapshot = row.at(0, 0);
    position.next_xid = row.integer(0, 1);
    slow->query("COMMIT");
    return position;
  }

  std::unique_ptr<pg::Session> still_open_;
};

TEST_F(Plan, WithoutStatistics) {
  expect_good(explain({}, 100));
}

TEST_F(Plan, PlannedEmptyThenFilled) {
  read({}, 100);
  insert(1, 30'000);
  expect_good(explain(behind(), 100));
}

TEST_F(Plan, AfterABigInsertWithoutAnalyze) {
  insert(1, 30'000);
  expect_good(explain(behind(), 100));
}

TEST_F(Plan, AnalyzedEmptyThenFilled) {
  session_->query("ANALYZE tide.outbox_1");
  insert(1, 30'000);
  expect_good(explain(behind(), 100));
}

// All rows have one xid: the statistics say that a condition on it is worth nothing.
TEST_F(Plan, AnalyzedAfterOneBigTransaction) {
  insert(1, 30'000);
  session_->query("ANALYZE tide.outbox_1");
  expect_good(explain(behind(), 100));
}

TEST_F(Plan, AnalyzedAfterManyTransactions) {
  insert(300, 100);
  session_->query("VACUUM ANALYZE tide.outbox_1");
  expect_good(explain(behind(), 100));
}

// A relay that was away: everything is new, and the first page costs no more than any other.
TEST_F(Plan, ReadsOnlyAPageOfABacklog) {
  insert(30, 1000);
  session_->query("ANALYZE tide.outbox_1");
  const auto plan = explain({}, 50);
  expect_good(plan);
  EXPECT_TRUE(
      std::regex_search(plan, std::regex("outbox_1_pkey on outbox_1 m_?1? \\(actual rows=50(\\.00)? loops=1\\)")))
      << plan;
}

}  // namespace
}  // namespace tide::test
