// The network between the relay and its peers stalls, delays and cuts in the middle of what is said.
#include "fault/world.hpp"
#include "support/tcp_proxy.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

constexpr int kBurst = 1500;  // events at once, so that hundreds are in flight

class Network : public World {
 protected:
  void TearDown() override {
    World::TearDown();
    network_.reset();
  }
  void start() {
    start_writers();
    start_relays(1);
    ASSERT_TRUE(js().wait_for_messages(stream_, 50, seconds(20)));
  }
  void burst() {
    sql("SELECT write_events(k, " + std::to_string(kBurst / Writers::kKeys) + ", 'publish') FROM generate_series(1, " +
        std::to_string(Writers::kKeys) + ") k");
  }
  // Cuts every connection, `times` times, each after a random number of bytes.
  void cut_often(TcpProxy& network, int times, int most_bytes) {
    for (int i = 0; i < times; ++i) {
      const auto before = network.cuts();
      network.cut_after(static_cast<std::size_t>(pick(1, most_bytes)));
      burst();
      ASSERT_TRUE(tend_until(seconds(20), [&] { return network.cuts() > before; }));
    }
    counts_.cuts += static_cast<int>(network.cuts());
  }
  // PostgreSQL's answers, or also what it is told, are held up until the relay notices.
  void stall_postgres(bool to_postgres) {
    const auto from = relay_log().size();
    network_->stall(to_postgres, true);
    EXPECT_TRUE(logged("PostgreSQL did not answer within", kPostgresDeadline + seconds(3), from));
  }
  // The acknowledgements of a burst, or the burst itself, are held up until the relay notices, and somewhat longer.
  void stall_nats_in_a_burst(bool to_nats) {
    const auto from = relay_log().size();
    network_->stall(to_nats, !to_nats);
    burst();
    EXPECT_TRUE(logged("no acknowledgement from", seconds(8), from));
    tend_for(pick_ms(0, 500));
    network_->heal();
  }
  static int times(int short_form) { return fault_seconds() >= 600 ? 10 * short_form : short_form; }

  std::unique_ptr<TcpProxy> network_;
};

class ToNats : public Network {
 protected:
  void SetUp() override {
    World::SetUp();
    network_ = std::make_unique<TcpProxy>(nats_->port());
    set_up_pipeline(network_->port());
    start();
  }
};

TEST_F(ToNats, CutsWithHundredsInFlightKeepTheOrderOfEachKey) {
  cut_often(*network_, times(10), 300'000);
}

TEST_F(ToNats, CutsOfASlowNetworkKeepTheOrderOfEachKey) {
  network_->delay(milliseconds(30));
  cut_often(*network_, times(5), 300'000);
}

TEST_F(ToNats, LostAcknowledgementsMakeNothingTwice) {
  stall_nats_in_a_burst(false);
}

// What was held up on the old connection reaches the server together with what is sent again on the new one.
TEST_F(ToNats, MessagesHeldUpForSecondsKeepTheOrderOfEachKey) {
  for (int i = 0; i < times(1); ++i) {
    stall_nats_in_a_burst(true);
    burst();
    tend_for(seconds(1));
  }
}

class ToPostgres : public Network {
 protected:
  void SetUp() override {
    World::SetUp();
    network_ = std::make_unique<TcpProxy>(postgres_->port());
    set_up_pipeline();
    use_postgres_port(network_->port());
    start();
  }
};

TEST_F(ToPostgres, CutsLoseNothing) {
  cut_often(*network_, times(8), 8'000);
}

TEST_F(ToPostgres, ASlowNetworkLosesNothing) {
  network_->delay(milliseconds(15));
  cut_often(*network_, times(2), 8'000);
}

TEST_F(ToPostgres, AStalledNetworkIsNoticedAndLosesNothing) {
  stall_postgres(true);
  tend_for(pick_ms(0, 3000));
  network_->heal();
}

// The commit reaches PostgreSQL, its confirmation does not reach the relay.
TEST_F(ToPostgres, LostConfirmationsLoseNothing) {
  stall_postgres(false);
  network_->heal();
}

}  // namespace
}  // namespace tide::test
