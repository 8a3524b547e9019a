// Three servers and a stream with a replica on each: leaders that change while thousands of messages are in flight, and
// servers that leave.
#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <functional>
#include <set>
#include <thread>

#include "plugins/plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/nats_cluster.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t wrong_last_sequence = 10071;
// Sends events as the relay does: in order, as many in flight as the sink takes; what is to be retried goes out again
// once nothing is in flight any more, before anything else; an instance that ended is replaced, and gets what has no
// result again. Its patience with lost answers may be shorter than the sink's own (5 s): that saves the tests' time.
class Sender {
 public:
  explicit Sender(Options options, seconds patience = seconds(1)) : options_(std::move(options)), patience_(patience) {}

  // Until enough() or the time is up.
  void run(Clock::time_point until, const std::function<bool()>& enough) {
    while (!enough()) {
      ASSERT_LT(Clock::now(), until) << last_error_;
      if (!sink_) connect();
      if (!sink_) continue;
      publish();
      if (sink_) take(sink_->ack(milliseconds(5)));
    }
  }
  // Sends nothing new, until all that was sent is stored.
  void finish(Clock::time_point until) {
    end_ = first_unsent_;
    run(until, [&] { return retry_.empty() && in_flight_.empty() && waiting_.empty(); });
  }

  std::size_t in_flight() const { return in_flight_.size(); }
  int sent() const { return first_unsent_; }
  int stored() const { return stored_; }
  int retried() const { return retried_; }
  int left() const { return left_; }      // connections that the server asked to leave
  int broken() const { return broken_; }  // and those that broke
  // Messages that reached the stream after one that was not stored. The chain held them back.
  int held_back() const { return held_back_; }
  // One's acknowledgement came after a later one's. Perhaps it was stored after it, too.
  bool overtaken() const { return overtaken_; }
  const std::string& last_error() const { return last_error_; }

 private:
  void connect() {
    sink_ = std::make_unique<Instance>(options_, seconds(5), position_);
    tokens_.clear();
    heard_ = Clock::now();
    if (sink_->connected().status == TIDE_OK) return;
    last_error_ = sink_->connected().error;
    sink_.reset();
    std::this_thread::sleep_for(milliseconds(100));
  }
  void publish() {
    if (!retry_.empty()) {
      if (!in_flight_.empty()) return;
      waiting_.merge(retry_);
      std::this_thread::sleep_for(milliseconds(50));
    }
    for (bool full = false; sink_ && !full;) {
      for (int n = first_unsent_; waiting_.size() < 100 && n < std::min(end_, first_unsent_ + 100); ++n)
        waiting_.insert(n);
      std::vector<Event> batch;
      std::vector<int> numbers;
      for (const int number : waiting_) {
        if (batch.size() == 100) break;
        const std::string text = std::to_string(number);
        batch.push_back({"events.a", "k" + text, "{\"n\": " + text + "}", {}, number < first_unsent_});
        numbers.push_back(number);
      }
      if (batch.empty()) return;
      const auto accepted = sink_->publish(batch);
      full = accepted < batch.size();
      for (std::size_t i = 0; i < accepted; ++i) {
        tokens_.push_back(numbers[i]);
        in_flight_.insert(numbers[i]);
        waiting_.erase(numbers[i]);
        first_unsent_ = std::max(first_unsent_, numbers[i] + 1);
      }
      check();
    }
  }
  void take(const std::map<std::uint64_t, Result>& results) {
    for (const auto& [token, result] : results) {
      const int number = tokens_.at(token - 1);
      ASSERT_EQ(in_flight_.erase(number), 1u);
      ASSERT_TRUE(result.status == TIDE_STORED || result.status == TIDE_RETRY) << result.error;
      if (result.status == TIDE_RETRY) {
        retry_.insert(number);
        last_error_ = result.error;
        ++retried_;
        if (result.native_code == wrong_last_sequence) ++held_back_;
      } else {
        ++stored_;
        if (!result.duplicate && number < newest_) overtaken_ = true;
        newest_ = std::max(newest_, number);
      }
    }
    check();
    if (!results.empty() || in_flight_.empty()) heard_ = Clock::now();
    if (sink_ && Clock::now() - heard_ > patience_) {
      ++broken_;
      replace();
    }
  }
  void check() {
    if (sink_->outcome().status == TIDE_OK) return;
    ASSERT_NE(sink_->outcome().status, TIDE_FATAL) << sink_->outcome().error;
    ++(sink_->outcome().status == TIDE_RECONNECT ? left_ : broken_);
    last_error_ = sink_->outcome().error;
    replace();
  }
  void replace() {
    sink_.reset();
    waiting_.merge(in_flight_);
    waiting_.merge(retry_);
    in_flight_.clear();
    retry_.clear();
  }

  Options options_;
  seconds patience_;
  std::unique_ptr<Instance> sink_;
  std::vector<int> tokens_;  // the event's number, by token
  std::set<int> waiting_, in_flight_, retry_;
  int first_unsent_ = 0;
  int end_ = INT_MAX;
  int newest_ = -1;
  std::uint64_t position_ = 1;  // the stream was empty
  int stored_ = 0, retried_ = 0, left_ = 0, broken_ = 0, held_back_ = 0;
  bool overtaken_ = false;
  Clock::time_point heard_{};
  std::string last_error_;
};

class ThreeServers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = std::make_unique<NatsCluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }
  void SetUp() override {
    StreamOptions stream;
    stream.replicas = 3;
    stream.duplicate_window = seconds(15);  // nats-server 2.10 may call a message that it refused a duplicate so long
    cluster_->create_stream("EVENTS", {"events.>"}, stream);
  }
  void TearDown() override { cluster_->delete_stream("EVENTS"); }

  static Options options(const std::string& url, bool exclusive = false) {
    return {{"url", url}, {"subject", std::string("events.a")}, {"exclusive", exclusive}};
  }

  // Leaders step down while thousands of messages are in flight, until enough() or there were 30. Returns how many.
  static int change_leaders(Sender& sender, const std::function<bool()>& enough) {
    int changes = 0;
    int next = 0;
    sender.run(Clock::now() + seconds(200), [&] {
      if (sender.stored() > next && sender.in_flight() > 2000) {
        if (enough() || changes == 30) return true;
        cluster_->step_down("EVENTS");
        next = sender.stored() + 6000;
        ++changes;
      }
      return false;
    });
    return changes;
  }

  // How many first copies in the stream stand behind a later message; and how many are lost or there twice.
  struct Verdict {
    int out_of_order = 0;
    int lost = 0;
    int twice = 0;
  };
  static Verdict judge(int sent) {
    Verdict verdict;
    std::set<int> seen;
    for (const auto& message : cluster_->js().messages("EVENTS")) {
      const int number = std::stoi(message.header("Nats-Msg-Id").substr(1));
      if (!seen.empty() && number < *seen.rbegin()) ++verdict.out_of_order;
      if (!seen.insert(number).second) ++verdict.twice;
    }
    verdict.lost = sent - static_cast<int>(seen.size());
    return verdict;
  }

  static bool out_of_order_yet(const Sender& sender) {
    return sender.overtaken() && judge(sender.sent()).out_of_order > 0;
  }

  inline static std::unique_ptr<NatsCluster> cluster_;
};

// What the next test would see without the chain.
TEST_F(ThreeServers, LetMessagesOvertakeOthersAtALeaderChangeWithoutExclusive) {
  Sender sender(options(cluster_->urls()));

  const int changes = change_leaders(sender, [&] { return out_of_order_yet(sender); });
  if (HasFatalFailure()) return;
  sender.finish(Clock::now() + seconds(60));

  const auto verdict = judge(sender.sent());
  std::printf("%d messages, %d leader changes: %d out of order, %d retried, %d connections broken\n", sender.sent(),
              changes, verdict.out_of_order, sender.retried(), sender.broken());
  EXPECT_EQ(verdict.lost, 0);
  EXPECT_EQ(verdict.twice, 0);
  // On a busy machine the servers may be too slow for it.
  if (verdict.out_of_order == 0) GTEST_SKIP() << "no message overtook another: the next test shows less than it could";
}

TEST_F(ThreeServers, KeepTheOrderOfAnExclusiveStreamThroughLeaderChanges) {
  Sender sender(options(cluster_->urls(), true));
  int felt = 0;
  int before = 0;

  const int changes = change_leaders(sender, [&] {
    if (sender.held_back() > before) ++felt;
    before = sender.held_back();
    return felt == 2 || out_of_order_yet(sender);
  });
  if (HasFatalFailure()) return;
  sender.finish(Clock::now() + seconds(60));

  const auto verdict = judge(sender.sent());
  std::printf("%d messages, %d leader changes: %d out of order, %d held back, %d retried, %d connections broken\n",
              sender.sent(), changes, verdict.out_of_order, sender.held_back(), sender.retried(), sender.broken());
  EXPECT_EQ(verdict.out_of_order, 0);
  EXPECT_EQ(verdict.lost, 0);
  EXPECT_EQ(verdict.twice, 0);
  if (felt < 2) GTEST_SKIP() << "messages came after one that was not stored in " << felt << " leader changes, not 2";
}

TEST_F(ThreeServers, AreLeftWithoutALostOrDoubledMessageWhenOneIsALameDuck) {
  const std::size_t leaving = cluster_->follower("EVENTS");
  Sender sender(options((*cluster_)[leaving].url()), seconds(10));  // of the others only the cluster tells
  sender.run(Clock::now() + seconds(20), [&] { return sender.stored() > 2000; });

  cluster_->lame_duck(leaving);
  sender.run(Clock::now() + seconds(20), [&] { return sender.left() > 0; });
  const int before = sender.stored();
  EXPECT_NE(sender.last_error().find((*cluster_)[leaving].url() + " is about to stop"), std::string::npos);
  sender.run(Clock::now() + seconds(20), [&] { return sender.stored() > before + 2000; });
  sender.finish(Clock::now() + seconds(20));

  EXPECT_EQ(sender.left(), 1);
  EXPECT_EQ(sender.broken(), 0) << sender.last_error();
  EXPECT_EQ(sender.retried(), 0) << sender.last_error();
  const auto verdict = judge(sender.sent());
  EXPECT_EQ(verdict.out_of_order, 0);
  EXPECT_EQ(verdict.lost, 0);
  EXPECT_EQ(verdict.twice, 0);
  cluster_->restart(leaving, "EVENTS");
}

TEST_F(ThreeServers, AreLeftByAnIdleConnectionToo) {
  const std::size_t leaving = cluster_->follower("EVENTS");
  Instance sink(options((*cluster_)[leaving].url()));
  ASSERT_EQ(sink.connected().status, TIDE_OK) << sink.connected().error;
  cluster_->lame_duck(leaving);
  EXPECT_TRUE(eventually(seconds(10), [&] {
    sink.ack(milliseconds(100));
    return sink.outcome().status != TIDE_OK;
  }));
  EXPECT_EQ(sink.outcome().status, TIDE_RECONNECT) << sink.outcome().error;
  cluster_->restart(leaving, "EVENTS");
}

TEST_F(ThreeServers, AreFoundThroughOneAnotherWhenTheConfiguredOneIsGone) {
  const std::size_t gone = cluster_->follower("EVENTS");
  const auto configured = options((*cluster_)[gone].url());
  {
    Instance sink(configured);
    ASSERT_EQ(sink.deliver({{"events.a", "1"}})[0].status, TIDE_STORED);
    (*cluster_)[gone].kill9();
    EXPECT_TRUE(eventually(seconds(10), [&] {
      sink.ack(milliseconds(100));
      return sink.outcome().status == TIDE_RETRY;
    })) << sink.outcome().error;
  }
  // The second time nothing but what a server told that is not configured itself. There is nobody to ask for the stream
  // until the others have elected a leader for the cluster's own matters, should that be the one that is gone.
  for (const auto* key : {"2", "3"}) {
    std::unique_ptr<Instance> sink;
    ASSERT_TRUE(eventually(seconds(60), [&] {
      sink = std::make_unique<Instance>(configured, seconds(2));
      return sink->connected().status == TIDE_OK;
    })) << sink->connected().error;
    EXPECT_EQ(sink->deliver({{"events.a", key}})[0].status, TIDE_STORED);
  }
  cluster_->restart(gone, "EVENTS");
}

// Certificates carry names, and a cluster tells addresses. Without JetStream: that a server lacks it is said by one
// that was found and verified.
TEST(TwoServersWithTls, AreFoundThroughOneAnotherByTheNameOfTheConfiguredOne) {
  const TempDir dir("tide-test-tls");
  const std::string key = dir / "key";
  const std::string certificate = dir / "crt";
  const auto made =
      run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
           "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const std::string route = "127.0.0.1:" + std::to_string(free_port());
  const std::string tls = "tls { cert_file: \"" + certificate + "\", key_file: \"" + key + "\" }\n";
  NatsServer first(tls + "cluster { name: test, listen: \"" + route + "\" }", false);
  const NatsServer second(
      tls + "cluster { name: test, listen: \"127.0.0.1:-1\", routes: [ \"nats-route://" + route + "\" ] }", false);
  const auto port = [](const NatsServer& server) { return ":" + std::to_string(server.port()); };
  const Options options{
      {"url", "tls://localhost" + port(first)}, {"subject", std::string("events.a")}, {"tls_ca_cert", certificate}};
  // What connect said, where that does not show that it reached the server. (From 2.10 on, it answers that it has
  // none.)
  const auto reached = [&](const NatsServer& server) {
    const Instance sink(options, milliseconds(1500));
    const std::string said = sink.connected().error;
    const bool of_it = said.find(port(server) + " d") != std::string::npos && said.find("$JS.API") != std::string::npos;
    return of_it ? "" : "said: " + said;
  };
  ASSERT_EQ(reached(first), "");
  ASSERT_TRUE(
      eventually(seconds(10), [&] { return first.log().find("Route connection created") != std::string::npos; }));
  ASSERT_EQ(reached(first), "");

  first.kill9();

  EXPECT_EQ(reached(second), "");
}

}  // namespace
}  // namespace tide::test
