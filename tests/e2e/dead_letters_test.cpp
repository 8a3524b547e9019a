// Events that a sink rejects: set aside alone, and sent again or discarded when somebody says so.
#include <algorithm>
#include <csignal>
#include <set>
#include <thread>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

class DeadLetters : public Servers {
 protected:
  // The subject of an event whose op is "bad" ends in an empty token, and so is not valid.
  void SetUp() override {
    Servers::SetUp();
    const std::string stream = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    options_ = R"(, "routes": [{"when": {"op": "bad"}, "subject": ")" + stream + R"(.{header.none|}"}])";
  }
  void publish_bad(const std::string& key = "bad") const {
    sql(R"(SELECT tide.outbox_publish('orders', '{"a": [1, "é"]}', ')" + key + R"(', 'bad', '{"h": "v"}'))");
  }
  [[nodiscard]] std::string mended() const { return R"(, "routes": [], "subject": ")" + stream_ + R"(.mended")"; }
  // Mends the cause and asks for the letters again, as one who is in a hurry would.
  void mend_and_retry() const {
    set_pipeline(mended());
    sql("SELECT tide.dead_letters_retry('p')");
  }
  // A pipeline that has rejected these keys.
  void set_up_letters(const std::vector<std::string>& bad) {
    set_up_pipeline();
    for (const auto& key : bad) publish_bad(key);
    deliver_once();
    ASSERT_EQ(letters("count(*)"), std::to_string(bad.size()));
  }
  void deliver_once() const {
    const auto done = relay("run", {"--once"});
    ASSERT_EQ(done.exit_code, 0) << done.err;
  }
  [[nodiscard]] std::string letters(const std::string& columns) const {
    return sql("SELECT " + columns + " FROM tide.dead_letters");
  }
  [[nodiscard]] bool no_letter_is_left() const {
    return eventually(seconds(10), [&] { return letters("count(*)") == "0"; });
  }
  void expect(const RunResult& result, int exit_code, const std::vector<std::string>& out,
              const std::vector<std::string>& err = {}) {
    EXPECT_EQ(result.exit_code, exit_code) << result.out << result.err;
    for (const auto& text : out) EXPECT_NE(result.out.find(text), std::string::npos) << text << "\nin: " << result.out;
    for (const auto& text : err) EXPECT_NE(result.err.find(text), std::string::npos) << text << "\nin: " << result.err;
  }
  RunResult dead_letters(std::vector<std::string> words) const {
    words.insert(words.begin() + 1, {"--postgres-url", url_});
    return relay_words("dead-letters", std::move(words));
  }
  RunResult relay_words(const std::string& command, std::vector<std::string> more) const {
    return run(words(command, std::move(more)), env_);
  }
  // This test's database, as another role.
  [[nodiscard]] std::string url_as(const std::string& role) const {
    return postgres_->url(url_.substr(url_.rfind('/') + 1), role);
  }
  void expect_refused(const std::string& url, const std::string& statement, const std::string& text) const {
    try {
      postgres_->psql(url, statement);
      ADD_FAILURE() << "allowed: " << statement;
    } catch (const std::exception& e) {
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << statement << ": " << e.what();
    }
  }
};

TEST_F(DeadLetters, ARejectedEventIsSetAsideAloneAndTheRestFlowsOnInOrder) {
  set_up_pipeline();
  publish(3);
  publish_bad();
  publish(3, "after");
  deliver_once();
  EXPECT_EQ(keys(), (std::vector<std::string>{"k1", "k2", "k3", "after1", "after2", "after3"}));
  EXPECT_EQ(
      letters("pipeline, outbox, consumer_group, stream_table, op, dedup_key, headers, payload, subject, state, tries"),
      "p|orders|g|orders|bad|bad|{\"h\": \"v\"}|{\"a\": [1, \"é\"]}|" + stream_ + ".|dead|1");
  EXPECT_EQ(letters("error <> '', failed_at BETWEEN now() - interval '1 minute' AND now()"), "t|t");
  EXPECT_EQ(sql("SELECT count(*) FROM tide.dead_letters l JOIN tide.outbox_messages m ON m.id = l.outbox_id"
                " AND m.created_at = l.created_at AND m.dedup_key = 'bad'"),
            "1");
  EXPECT_EQ(sql("SELECT lag FROM tide.consumer_lag"), "0");
}

TEST_F(DeadLetters, RetryDeliversALetterAsItWasAndRemovesIt) {
  set_up_pipeline();
  const auto relay = start_relay();
  publish_bad();
  ASSERT_TRUE(eventually(seconds(10), [&] { return letters("state") == "dead"; }));
  mend_and_retry();
  ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(10)));
  const auto stored = js().messages(stream_);
  EXPECT_EQ(stored[0].subject, stream_ + ".mended");
  EXPECT_EQ(stored[0].header("Nats-Msg-Id"), "bad");
  EXPECT_EQ(stored[0].header("h"), "v");
  EXPECT_EQ(stored[0].payload, R"({"a": [1, "é"]})");
  EXPECT_TRUE(no_letter_is_left());
  publish(1);
  EXPECT_TRUE(js().wait_for_messages(stream_, 2, seconds(10)));
}

TEST_F(DeadLetters, ARetryWakesARunningRelayAtOnce) {
  set_up_letters({"bad"});
  set_pipeline(mended());
  const auto relay = start_relay();
  ASSERT_TRUE(relay->wait_for_output("running, from event", seconds(10)));
  std::this_thread::sleep_for(seconds(1));  // asleep, and the looks of its start are over
  const auto asked = std::chrono::steady_clock::now();
  sql("SELECT tide.dead_letter_retry(dead_letter_id) FROM tide.dead_letters");
  ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(10)));
  EXPECT_LT(std::chrono::steady_clock::now() - asked, seconds(2))
      << "the 5 s look that covers a missed wake-up came first";
  EXPECT_TRUE(no_letter_is_left());
}

TEST_F(DeadLetters, TheConfigurationThatARetryWasAskedUnderIsTheOneItIsSentWith) {
  set_up_pipeline();
  const auto relay = start_relay();
  const auto starts = [&] {
    std::size_t found = 0;
    const auto log = relay->err();
    for (auto at = log.find("running, from event"); at != std::string::npos;
         at = log.find("running, from event", at + 1))
      ++found;
    return found;
  };
  for (int i = 1; i <= 10; ++i) {
    const auto before = starts();
    set_pipeline();
    ASSERT_TRUE(i == 1 || eventually(seconds(10), [&] { return starts() > before; })) << "it still runs mended";
    publish_bad("bad" + std::to_string(i));
    ASSERT_TRUE(eventually(seconds(10), [&] { return letters("state") == "dead"; })) << i;
    mend_and_retry();
    ASSERT_TRUE(js().wait_for_messages(stream_, static_cast<std::uint64_t>(i), seconds(10))) << i << relay->err();
    ASSERT_TRUE(no_letter_is_left());
  }
  EXPECT_EQ(relay->err().find("stays in tide.dead_letters"), std::string::npos) << relay->err();
}

TEST_F(DeadLetters, AnEventOverMaxPayloadIsDeliveredOnceTheServerTakesIt) {
  nats_->stop();
  nats_->start("max_payload: 65536");
  set_up_pipeline();
  sql("SELECT tide.outbox_publish('orders', to_jsonb(repeat('x', 100000)), 'big')");
  publish(2);
  deliver_once();
  EXPECT_EQ(keys(), (std::vector<std::string>{"k1", "k2"}));
  EXPECT_NE(letters("error").find("max_payload"), std::string::npos);
  nats_->stop();
  nats_->start("");
  sql("SELECT tide.dead_letters_retry('p')");
  ASSERT_EQ(relay("run", {"--once"}).exit_code, 0) << "run --once sends letters, too";
  const auto stored = js().messages(stream_);
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_EQ(stored[2].header("Nats-Msg-Id"), "big");
  EXPECT_EQ(stored[2].payload, '"' + std::string(100000, 'x') + '"');
  EXPECT_EQ(letters("count(*)"), "0");
}

TEST_F(DeadLetters, AReasonThatQuotesPartOfALongNameIsSetDown) {
  set_up_pipeline();
  sql("SELECT tide.outbox_publish('orders', '{}', 'bad', 'insert', jsonb_build_object('a: ' || repeat('é', 150), 1))");
  publish(1);
  deliver_once();
  EXPECT_EQ(keys(), std::vector<std::string>{"k1"});
  EXPECT_EQ(letters("dedup_key, error LIKE '%the header name ''a: é%'"), "bad|t");
}

TEST_F(DeadLetters, AMissingTemplateValueLeavesNoSubject) {
  set_up_pipeline();
  set_pipeline(R"(, "subject": ")" + stream_ + R"(.{payload.region}")");
  publish(1);
  deliver_once();
  EXPECT_EQ(letters("subject IS NULL, error LIKE '%region%'"), "t|t");
  set_pipeline(R"(, "subject": ")" + stream_ + R"(.{payload.region|nowhere}")");
  sql("SELECT tide.dead_letters_retry('p')");
  deliver_once();
  EXPECT_EQ(js().messages(stream_).at(0).subject, stream_ + ".nowhere");
  EXPECT_EQ(keys(), std::vector<std::string>{"k1"});
}

TEST_F(DeadLetters, AnEventWithoutAKeyKeepsItsStableIdentity) {
  set_up_pipeline();
  sql("SELECT tide.outbox_publish('orders', '{}', NULL, 'bad')");
  deliver_once();
  const auto key = letters("dedup_key");
  EXPECT_NE(key.find("/orders/"), std::string::npos);
  mend_and_retry();
  deliver_once();
  EXPECT_EQ(keys(), std::vector<std::string>{key});
}

TEST_F(DeadLetters, ALetterThatIsRejectedAgainStaysDeadAndItsTriesAreCounted) {
  set_up_letters({"bad"});
  const auto before = letters("failed_at");
  for (const auto* tries : {"2", "3"}) {
    sql("SELECT tide.dead_letters_retry('p')");
    EXPECT_EQ(letters("state"), "retrying");
    deliver_once();
    EXPECT_EQ(letters("state, tries"), std::string("dead|") + tries);
  }
  EXPECT_EQ(letters("failed_at > '" + before + "'"), "t");
  // The error is that of the last try.
  set_pipeline(R"(, "routes": [], "subject": ")" + stream_ + R"(.{payload.region}")");
  sql("SELECT tide.dead_letters_retry('p')");
  deliver_once();
  EXPECT_EQ(letters("state, tries, error LIKE '%region%', subject IS NULL"), "dead|4|t|t");
  EXPECT_EQ(js().info(stream_).messages, 0u);
}

TEST_F(DeadLetters, ARunningRelayDoesNotTryARejectedLetterAgainByItself) {
  set_up_letters({"bad"});
  const auto relay = start_relay();
  sql("SELECT tide.dead_letters_retry('p')");
  ASSERT_TRUE(eventually(seconds(10), [&] { return letters("state, tries") == "dead|2"; }));
  std::this_thread::sleep_for(seconds(6));  // past the look for letters that covers a missed wake-up
  EXPECT_EQ(letters("state, tries"), "dead|2");
  publish(1);
  EXPECT_TRUE(js().wait_for_messages(stream_, 1, seconds(10))) << "the pipeline goes on";
}

TEST_F(DeadLetters, DiscardRemovesALetterForGood) {
  set_up_letters({"one", "two", "three"});
  sql("SELECT tide.dead_letter_discard(min(dead_letter_id)) FROM tide.dead_letters");
  EXPECT_EQ(sql("SELECT tide.dead_letters_discard('p')"), "2");
  EXPECT_EQ(letters("count(*)"), "0");
  mend_and_retry();
  deliver_once();
  EXPECT_EQ(js().info(stream_).messages, 0u);
}

TEST_F(DeadLetters, OnlyThePipelineThatRejectedALetterIsSentIt) {
  StreamOptions short_window;  // so that a second copy would show
  short_window.duplicate_window = milliseconds(100);
  js().create_stream("Other", {"other.>"}, short_window);
  set_up_pipeline();
  sql(R"(SELECT tide.relay_set_outbox('q', 'orders', 'h', '{"sink_type": "nats", "subject": "other.x", "url": ")" +
      nats_->url() + R"("}'); SELECT tide.relay_enable('q'))");
  const auto relay = start_relay();
  publish_bad();
  ASSERT_TRUE(js().wait_for_messages("Other", 1, seconds(10)));
  ASSERT_TRUE(eventually(seconds(10), [&] { return letters("pipeline") == "p"; }));
  std::this_thread::sleep_for(milliseconds(300));
  mend_and_retry();
  ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(10)));
  EXPECT_TRUE(no_letter_is_left());
  publish(1);
  ASSERT_TRUE(js().wait_for_messages("Other", 2, seconds(10)));
  EXPECT_EQ(js().messages("Other").back().header("Nats-Msg-Id"), "k1");
  EXPECT_EQ(js().info("Other").messages, 2u);
  js().delete_stream("Other");
}

TEST_F(DeadLetters, ManyLettersAreEachSentOnceWhileEventsFlow) {
  constexpr std::uint64_t kBad = 5000;
  constexpr std::uint64_t kMore = 5000;
  set_up_pipeline();
  StreamOptions short_window;  // so that a second copy would show
  short_window.duplicate_window = milliseconds(100);
  js().update_stream(stream_, {stream_ + ".>"}, short_window);
  sql("SELECT count(tide.outbox_publish('orders', '{}', 'bad' || n, 'bad')) FROM generate_series(1, 5000) n");
  deliver_once();
  ASSERT_EQ(letters("count(*)"), std::to_string(kBad));
  set_pipeline(mended());
  const auto relay = start_relay();
  ASSERT_TRUE(relay->wait_for_output("running, from event", seconds(10)));
  sql("SELECT tide.dead_letters_retry('p')");
  for (std::uint64_t done = 0; done < kMore; done += 500) {
    publish(500, "batch" + std::to_string(done) + "-");
    sql("SELECT tide.dead_letters_retry('p')");  // to no effect but a wake-up
  }
  ASSERT_TRUE(js().wait_for_messages(stream_, kBad + kMore, seconds(60)));
  EXPECT_TRUE(no_letter_is_left());
  ASSERT_EQ(relay->terminate(), 0);
  const auto found = keys();
  EXPECT_EQ(found.size(), kBad + kMore);
  EXPECT_EQ(std::set<std::string>(found.begin(), found.end()).size(), kBad + kMore);
}

TEST_F(DeadLetters, OnRejectStopStopsThereLosesNothingAndGoesOnOnceMended) {
  set_up_pipeline(R"(, "on_reject": "stop")");
  publish(3);
  publish_bad();
  publish(3, "after");
  expect(relay("run", {"--once"}), 1, {}, {"key bad", "on_reject"});
  EXPECT_EQ(keys(), (std::vector<std::string>{"k1", "k2", "k3"}));
  EXPECT_EQ(letters("count(*)"), "0");
  EXPECT_EQ(sql("SELECT lag >= 4 FROM tide.consumer_lag"), "t");
  const auto relay = start_relay();
  ASSERT_TRUE(relay->wait_for_output("it stands still", seconds(10)));
  set_pipeline(R"(, "on_reject": "stop")" + mended());
  ASSERT_TRUE(eventually(seconds(20), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }));
  EXPECT_EQ(keys(), (std::vector<std::string>{"k1", "k2", "k3", "bad", "after1", "after2", "after3"}));
  EXPECT_EQ(letters("count(*)"), "0");
}

TEST_F(DeadLetters, OnRejectStopDeliversAllThatStandsBeforeAnEventThatCanNotBeRendered) {
  set_up_pipeline();
  set_pipeline(R"(, "on_reject": "stop", "subject": ")" + stream_ + R"(.{payload.n}")");
  publish(3);
  publish_bad();
  publish(3, "after");
  expect(relay("run", {"--once"}), 1, {}, {"key bad", "on_reject"});
  EXPECT_EQ(keys(), (std::vector<std::string>{"k1", "k2", "k3"}));
}

TEST_F(DeadLetters, ALetterThatIsRejectedAgainDoesNotStopAPipelineWithOnRejectStop) {
  set_up_letters({"bad"});
  set_pipeline(R"(, "on_reject": "stop")");
  sql("SELECT tide.dead_letters_retry('p')");
  publish(1);
  EXPECT_EQ(relay("run", {"--once"}).exit_code, 0);
  EXPECT_EQ(keys(), std::vector<std::string>{"k1"});
  EXPECT_EQ(letters("state, tries"), "dead|2");
}

TEST_F(DeadLetters, AnOutageDuringARetryKeepsTheLetterAndHonoursADiscard) {
  set_up_letters({"bad", "unwanted"});
  set_pipeline(mended());
  const auto relay = start_relay();
  ASSERT_TRUE(relay->wait_for_output("running, from event", seconds(10)));
  nats_->stop();
  sql("SELECT tide.dead_letters_retry('p')");
  std::this_thread::sleep_for(seconds(2));
  EXPECT_EQ(letters("count(*) FILTER (WHERE state = 'retrying' AND tries = 1)"), "2") << "an outage is no rejection";
  sql("SELECT tide.dead_letter_discard(dead_letter_id) FROM tide.dead_letters WHERE dedup_key = 'unwanted'");
  nats_->start();
  ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(20))) << relay->err();
  EXPECT_TRUE(no_letter_is_left());
  publish(1);
  ASSERT_TRUE(js().wait_for_messages(stream_, 2, seconds(10)));
  EXPECT_EQ(keys(), (std::vector<std::string>{"bad", "k1"}));
}

TEST_F(DeadLetters, ARelayThatIsKilledBetweenAckAndCommitSendsTheLetterAgainUnderItsKey) {
  set_up_letters({"bad"});
  StreamOptions short_window;
  short_window.duplicate_window = milliseconds(500);
  js().update_stream(stream_, {stream_ + ".>"}, short_window);
  set_pipeline(mended());
  const auto first = start_relay();
  ASSERT_TRUE(first->wait_for_output("running, from event", seconds(10)));
  std::this_thread::sleep_for(milliseconds(500));
  {  // holds up the commit
    Process lock({"psql", "-qXd", url_, "-c",
                  "BEGIN; LOCK TABLE tide.consumer_offsets IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep(60)"});
    ASSERT_TRUE(eventually(seconds(5), [&] {
      return sql("SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted"
                 " AND relation = 'tide.consumer_offsets'::regclass") == "1";
    }));
    sql("SELECT tide.dead_letters_retry('p')");
    ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(10)));
    first->kill(SIGKILL);
    first->wait(seconds(5));
    sql("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE relation = 'tide.consumer_offsets'::regclass"
        " AND mode = 'ShareRowExclusiveLock'");
  }
  EXPECT_EQ(letters("state, tries"), "retrying|1");
  publish(3);
  std::this_thread::sleep_for(seconds(1));  // beyond the duplicate window: the sink itself must know
  const auto second = start_relay();
  EXPECT_TRUE(no_letter_is_left()) << second->err();
  ASSERT_TRUE(js().wait_for_messages(stream_, 4, seconds(10)));
  EXPECT_EQ(keys(), (std::vector<std::string>{"bad", "k1", "k2", "k3"}));
  EXPECT_EQ(second->err().find("two events share one key"), std::string::npos) << second->err();
}

TEST_F(DeadLetters, SomebodyWhoIsDiscardingHoldsNoPipelineUp) {
  set_up_letters({"bad"});
  mend_and_retry();
  Process lock({"psql", "-qXd", url_, "-c", "BEGIN; SELECT tide.dead_letters_discard('p'); SELECT pg_sleep(60)"});
  ASSERT_TRUE(eventually(seconds(5), [&] {
    return sql("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'") ==
           "1";
  }));
  const auto relay = start_relay();
  ASSERT_TRUE(js().wait_for_messages(stream_, 1, seconds(10))) << "nothing is discarded yet";
  for (int i = 1; i <= 5; ++i) {
    publish(1, "k" + std::to_string(i) + "-");
    ASSERT_TRUE(eventually(seconds(10), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; })) << i;
  }
  EXPECT_EQ(relay->err().find("lock timeout"), std::string::npos) << relay->err();
  EXPECT_EQ(letters("state"), "retrying");
  sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = "
      "'PgSleep'");
  EXPECT_TRUE(no_letter_is_left()) << "the discard was undone, so the letter is sent once more";
  EXPECT_EQ(std::ranges::count(keys(), "bad"), 1);
}

TEST_F(DeadLetters, OnlyAnAdministratorMayRetryOrDiscard) {
  set_up_letters({"bad"});
  sql("CREATE ROLE letters_publisher LOGIN IN ROLE tide_publisher; CREATE ROLE letters_relay LOGIN IN ROLE tide_relay;"
      "CREATE ROLE letters_admin LOGIN IN ROLE tide_admin");
  const auto id = letters("dead_letter_id");
  for (const auto& call : {"dead_letter_retry(" + id + ")", "dead_letter_discard(" + id + ")",
                           std::string("dead_letters_retry('p')"), std::string("dead_letters_discard('p')")}) {
    for (const auto* role : {"letters_publisher", "letters_relay"}) {
      expect_refused(url_as(role), "SELECT tide." + call, "permission denied");
    }
  }
  for (const auto* statement :
       {"SELECT * FROM tide.dead_letters", "SELECT * FROM tide.dead_letter_messages",
        "DELETE FROM tide.dead_letter_messages", "UPDATE tide.dead_letter_messages SET tries = 0"}) {
    expect_refused(url_as("letters_publisher"), statement, "permission denied");
  }
  EXPECT_EQ(letters("state, tries"), "dead|1");
  EXPECT_EQ(postgres_->psql(url_as("letters_admin"), "SELECT tide.dead_letters_retry('p')"), "1");
  EXPECT_EQ(postgres_->psql(url_as("letters_admin"), "SELECT tide.dead_letters_discard('p')"), "1");

  const auto admin = run({program(), "dead-letters", "retry", "--all", "--postgres-url", url_as("letters_relay")});
  expect(admin, 0, {"no dead letters"});
  publish_bad("another");
  const auto as_relay = run({program(), "run", "--once", "--postgres-url", url_as("letters_relay")}, env_);
  EXPECT_EQ(as_relay.exit_code, 0) << as_relay.err;
  expect(run({program(), "dead-letters", "list", "--postgres-url", url_as("letters_relay")}), 0, {"another"});
  expect(run({program(), "dead-letters", "retry", "--all", "--postgres-url", url_as("letters_relay")}), 1, {},
         {"permission denied", "tide_admin"});
  // A relay's own login can do all that a retry needs of it.
  mend_and_retry();
  EXPECT_EQ(run({program(), "run", "--once", "--postgres-url", url_as("letters_relay")}, env_).exit_code, 0);
  EXPECT_EQ(keys(), std::vector<std::string>{"another"});
  EXPECT_EQ(letters("count(*)"), "0");
}

TEST_F(DeadLetters, WhatDoesNotExistIsToldClearly) {
  set_up_letters({"bad"});
  const auto id = letters("dead_letter_id");
  for (const auto* call : {"dead_letter_retry(999999)", "dead_letter_discard(999999)"}) {
    expect_refused(url_, std::string("SELECT tide.") + call, "dead letter 999999 does not exist");
  }
  expect_refused(url_, "SELECT tide.dead_letter_retry(NULL)", "dead letter NULL does not exist");
  for (const auto* call : {"dead_letters_retry('nobody')", "dead_letters_discard('nobody')"}) {
    expect_refused(url_, std::string("SELECT tide.") + call, "pipeline \"nobody\" does not exist");
  }
  // Nobody sends the letters of a pipeline that was deleted: they are not left waiting, and can be discarded.
  sql("SELECT tide.dead_letters_retry('p'); SELECT tide.relay_delete('p')");
  EXPECT_EQ(letters("state"), "dead");
  expect_refused(url_, "SELECT tide.dead_letter_retry(" + id + ")", "does not exist any more");
  expect_refused(url_, "SELECT tide.dead_letters_retry('p')", "pipeline \"p\" does not exist");
  EXPECT_EQ(sql("SELECT tide.dead_letters_discard('p')"), "1");
}

TEST_F(DeadLetters, TheCommandListsLetters) {
  set_up_letters({"one", "two"});
  const auto id = letters("min(dead_letter_id)");
  expect(dead_letters({"list"}), 0,
         {id + "  pipeline p  event ", "key one  dead, rejected once", "subject  " + stream_ + ".\n", "error    ",
          "key two"});
  expect(dead_letters({"list", "--pipeline", "p"}), 0, {"key two"});
  expect(dead_letters({"list", "--pipeline", "q"}), 0, {"pipeline 'q' has no dead letters"});
  const auto json = dead_letters({"list", "--json"});
  expect(json, 0, {});
  EXPECT_EQ(sql("SELECT string_agg(l->>'dedup_key' || ' ' || (l->'payload') || ' ' || (l->>'tries'), ', ')"
                " FROM jsonb_array_elements($json$" +
                json.out + "$json$) l"),
            R"(one {"a": [1, "é"]} 1, two {"a": [1, "é"]} 1)");
  EXPECT_EQ(dead_letters({"list", "--json", "--pipeline", "q"}).out, "[]\n");
}

TEST_F(DeadLetters, TheCommandListsEveryLetterOfMany) {
  set_up_pipeline();
  sql("SELECT count(tide.outbox_publish('orders', '{}', 'bad' || n, 'bad')) FROM generate_series(1, 1234) n");
  deliver_once();
  const auto json = dead_letters({"list", "--json"});
  EXPECT_EQ(sql("SELECT jsonb_array_length($json$" + json.out + "$json$)"), "1234");
}

TEST_F(DeadLetters, TheCommandRetriesAndDiscardsWhatIsSelected) {
  set_up_letters({"one", "two", "three"});
  set_pipeline(mended());
  const auto first = letters("min(dead_letter_id)");
  const auto last = letters("max(dead_letter_id)");
  expect(dead_letters({"retry", "--id", first, "999999"}), 1, {},
         {"dead letter 999999 does not exist", "no letter was changed"});
  EXPECT_EQ(letters("count(*) FILTER (WHERE state = 'dead')"), "3");

  expect(dead_letters({"retry", "--id", first, last}), 0,
         {"dead letter " + first + " of pipeline 'p' will be sent again", "dead letter " + last}, {"not running"});
  deliver_once();
  EXPECT_EQ(keys(), (std::vector<std::string>{"one", "three"}));

  expect(dead_letters({"retry", "--pipeline", "nobody"}), 1, {}, {"pipeline \"nobody\" does not exist"});
  sql("SELECT tide.relay_disable('p')");
  expect(dead_letters({"retry", "--all"}), 0, {"1 dead letter of pipeline 'p' will be sent again"}, {"is disabled"});
  expect(dead_letters({"discard", "--pipeline", "p"}), 0, {"1 dead letter of pipeline 'p' discarded"});
  expect(dead_letters({"discard", "--all"}), 0, {"no dead letters"});
  expect(dead_letters({"list"}), 0, {"no dead letters"});
}

TEST_F(DeadLetters, TheCommandWantsOneSelection) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {}, {"retry"}, {"discard"}, {"retry", "--all", "--pipeline", "p"}, {"retry", "--id", "x"}}) {
    auto all = words;
    all.insert(all.begin(), {program(), "dead-letters"});
    EXPECT_EQ(run(all).exit_code, 2) << ::testing::PrintToString(words);
  }
  const auto help = run({program(), "dead-letters", "--help"});
  expect(help, 0, {"list", "retry", "discard", "Mend the cause", "tide_admin"});
  expect(run({program(), "dead-letters", "retry", "--help"}), 0, {"--pipeline", "--id", "--all"});
}

// However many come at once, each commit is short: no other relay takes this one for hung.
TEST_F(DeadLetters, ThousandsAtOnceAreSetAsideInOrderByOneRelay) {
  set_up_pipeline();
  sql("SELECT tide.relay_set_outbox('p', 'orders', 'g', '{\"sink_type\": \"nats\", \"url\": \"" + nats_->url() +
      "\", \"subject\": \"" + stream_ + ".{payload.kind}\"}')");
  publish(20'000);
  const auto first = start_relay();
  const auto second = start_relay();
  EXPECT_TRUE(eventually(std::chrono::seconds(60), [&] { return sql("SELECT lag FROM tide.consumer_lag") == "0"; }));
  EXPECT_EQ(sql("SELECT count(*), count(DISTINCT outbox_id), bool_and(dead_letter_id >= before) FROM (SELECT *,"
                " lag(dead_letter_id, 1, 0::bigint) OVER (ORDER BY outbox_id) AS before FROM tide.dead_letters) d"),
            "20000|20000|t");
  for (const auto* relay : {first.get(), second.get()})
    EXPECT_EQ(relay->err().find("stopping what runs"), std::string::npos) << relay->err().substr(0, 2000);
  EXPECT_EQ(first->terminate(), 0);
  EXPECT_EQ(second->terminate(), 0);
}

}  // namespace
}  // namespace tide::test
