// Three servers, a stream with three replicas, and leaders that step down while thousands of messages are in flight.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <functional>
#include <set>
#include <thread>

#include "plugin_host.hpp"
#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

class Cluster {
 public:
  Cluster() {
    std::string routes;
    for (auto& port : ports_) {
      port = free_port();
      routes += (routes.empty() ? "" : ", ") + std::string("nats-route://127.0.0.1:") + std::to_string(port);
    }
    for (std::size_t i = 0; i < servers_.size(); ++i)
      servers_[i] =
          std::make_unique<NatsServer>("server_name: n" + std::to_string(i) +
                                       "\ncluster { name: test, listen: \"127.0.0.1:" + std::to_string(ports_[i]) +
                                       "\", routes: [" + routes + "] }");
  }
  std::string urls() const { return servers_[0]->url() + "," + servers_[1]->url() + "," + servers_[2]->url(); }
  std::string url() const { return servers_[0]->url(); }

 private:
  std::array<std::uint16_t, 3> ports_{};
  std::array<std::unique_ptr<NatsServer>, 3> servers_;
};

// Asks a stream's leader to step down, without waiting for the answer.
class Agitator {
 public:
  explicit Agitator(const std::string& url) {
    if (natsConnection_ConnectTo(&connection_, url.c_str()) != NATS_OK) throw std::runtime_error("connect to " + url);
  }
  ~Agitator() { natsConnection_Destroy(connection_); }
  Agitator(const Agitator&) = delete;
  Agitator& operator=(const Agitator&) = delete;

  void step_down(const std::string& stream) {
    natsConnection_PublishString(connection_, ("$JS.API.STREAM.LEADER.STEPDOWN." + stream).c_str(), "");
    natsConnection_Flush(connection_);
  }

 private:
  natsConnection* connection_ = nullptr;
};

// Sends events as the relay does: in order, many in flight; what is to be retried goes out again once nothing is in
// flight any more, before anything else; a broken instance is replaced, and gets what has no result again.
class Sender {
 public:
  Sender(Options options, int count) : options_(std::move(options)) {
    for (int i = 0; i < count; ++i) waiting_.insert(i);
  }

  void run(Clock::time_point until, const std::function<void(int)>& each_round) {
    int round = 0;
    while (left() > 0) {
      ASSERT_LT(Clock::now(), until) << left() << " are left; " << last_error_;
      if (!sink_) connect();
      if (!sink_) continue;
      publish();
      take(sink_->ack(milliseconds(5)));
      each_round(++round);
    }
  }

  int retried() const { return retried_; }
  int instances() const { return instances_; }
  std::size_t left() const { return waiting_.size() + in_flight_.size() + retry_.size(); }

 private:
  void connect() {
    sink_ = std::make_unique<Instance>(options_, seconds(5), position_);
    tokens_.clear();
    ++instances_;
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
    std::vector<Event> batch;
    std::vector<int> numbers;
    for (const int number : waiting_) {
      if (batch.size() == 100) break;
      const std::string text = std::to_string(number);
      batch.push_back({"events.a", "k" + text, "{\"n\": " + text + "}", {}, number < first_unsent_});
      numbers.push_back(number);
    }
    const auto accepted = batch.empty() ? 0 : sink_->publish(batch);
    for (std::size_t i = 0; i < accepted; ++i) {
      tokens_.push_back(numbers[i]);
      in_flight_.insert(numbers[i]);
      waiting_.erase(numbers[i]);
      first_unsent_ = std::max(first_unsent_, numbers[i] + 1);
    }
    check();
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
      }
    }
    if (sink_) check();
  }
  void check() {
    if (sink_->outcome().status == TIDE_OK) return;
    last_error_ = sink_->outcome().error;
    sink_.reset();
    waiting_.merge(in_flight_);
    waiting_.merge(retry_);
    in_flight_.clear();
    retry_.clear();
  }

  Options options_;
  std::unique_ptr<Instance> sink_;
  std::vector<int> tokens_;  // the event's number, by token
  std::set<int> waiting_, in_flight_, retry_;
  int first_unsent_ = 0;
  std::uint64_t position_ = 1;  // the stream was empty
  int retried_ = 0;
  int instances_ = 0;
  std::string last_error_;
};

TEST(ThreeServers, AnExclusiveStreamKeepsTheOrderThroughLeaderChanges) {
  const Cluster cluster;
  JetStream jetstream(cluster.url());
  StreamOptions stream;
  stream.replicas = 3;
  // There is no leader for the cluster's own matters in the first moments.
  ASSERT_TRUE(eventually(seconds(30), [&] {
    try {
      jetstream.create_stream("EVENTS", {"events.>"}, stream);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }));
  Agitator agitator(cluster.url());

  constexpr int count = 60000;
  const int step_downs_wanted = 6;
  int step_downs = 0;
  Sender sender({{"url", cluster.urls()}, {"subject", std::string("events.a")}, {"exclusive", true}}, count);
  sender.run(Clock::now() + seconds(50), [&](int) {
    const auto done = count - static_cast<int>(sender.left());
    if (step_downs < step_downs_wanted && done > (step_downs + 1) * count / (step_downs_wanted + 1)) {
      agitator.step_down("EVENTS");
      ++step_downs;
    }
  });
  if (HasFatalFailure()) return;

  const auto stored = jetstream.messages("EVENTS");
  ASSERT_EQ(stored.size(), static_cast<std::size_t>(count));
  int out_of_order = 0;
  for (std::size_t i = 0; i < stored.size(); ++i)
    if (stored[i].header("Nats-Msg-Id") != "k" + std::to_string(i)) ++out_of_order;
  EXPECT_EQ(out_of_order, 0);
  EXPECT_EQ(step_downs, step_downs_wanted);
  EXPECT_GT(sender.retried() + sender.instances() - 1, 0) << "no leader change was felt: nothing is shown";
  std::printf("%d messages, %d leader changes: %d retried, %d connections, 0 out of order\n", count, step_downs,
              sender.retried(), sender.instances());
}

}  // namespace
}  // namespace tide::test
