// What a fault test works in: PostgreSQL, nats-server, writers that publish, relays that are started again when they
// die, and a judge at the end. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "fault/judge.hpp"
#include "fault/writers.hpp"
#include "support/two_servers.hpp"

namespace tide::test {

// How long the tests that kill at random go on, all together: TIDE_FAULT_SECONDS, 20 by default.
double fault_seconds();

// What all tests of one executable came to; printed at its end.
struct Total {
  std::size_t events = 0, lost = 0, twice = 0, invented = 0, out_of_order = 0;
  int relay_kills = 0, nats_kills = 0, postgres_kills = 0, cuts = 0, freezes = 0;
  [[nodiscard]] int kills() const { return relay_kills + nats_kills + postgres_kills; }
};
Total& total();

class World : public TwoServers {
 protected:
  void SetUp() override;     // a database and a stream of its own
  void TearDown() override;  // judges, unless judge_now() did

  // The schema, the outbox, and an enabled pipeline into the sink that the JSON configures.
  void set_up_sink(const std::string& config, const std::string& unsendable_header = {});
  // The same into a stream. Either server may be reached through another port than its own.
  void set_up_pipeline(std::uint16_t nats_port = 0, const std::string& more_options = {},
                       std::chrono::milliseconds duplicate_window = {});
  void use_postgres_port(std::uint16_t port);  // for relays that start from now on
  void start_writers(int transactions_per_second = 300);

  // --- relays
  static constexpr std::chrono::milliseconds kPostgresDeadline{2000};  // their postgres.deadline_ms
  std::unique_ptr<Process> start_relay(const Environment& env = {}, const char* program_variable = "TIDE_RELAY") const;
  void start_relays(int count);
  void tend();  // starts dead ones again
  void tend_for(std::chrono::milliseconds time);
  bool tend_until(std::chrono::milliseconds timeout, const std::function<bool()>& condition);
  void kill_relay();                            // one of them, SIGKILL
  void freeze(Process& relay);                  // SIGSTOP
  void stop_relays();                           // SIGTERM; expects an orderly end
  [[nodiscard]] std::string relay_log() const;  // of all relays of this test
  // Whether the text is, or within the time comes, in the log after `from`.
  bool logged(const std::string& text, std::chrono::milliseconds timeout, std::size_t from = 0);

  // --- servers
  void crash_nats(std::chrono::milliseconds down);
  void crash_postgres(std::chrono::milliseconds down);

  int pick(int from, int to) { return std::uniform_int_distribution<int>(from, to)(random_); }
  std::chrono::milliseconds pick_ms(int from, int to) { return std::chrono::milliseconds(pick(from, to)); }

  // Commits were taken back, as asynchronous replication may: what had been sent of them counts as invented.
  bool commits_lost_ = false;

  // What the sink holds, in its order: the stream's messages.
  virtual std::vector<Message> arrived() { return js().messages(stream_); }
  bool may_repeat_ = false;  // the sink stores at least once: copies are counted, and no fault
  bool any_order_ = false;

  // Ends the writers, waits until all is delivered, ends the relays, compares, prints.
  void judge_now(std::chrono::milliseconds patience = std::chrono::seconds(60));

  std::string relay_url_;
  std::string stream_;
  std::unique_ptr<Writers> writers_;
  std::vector<std::unique_ptr<Process>> relays_;
  std::mt19937 random_;
  Total counts_;

 private:
  std::unique_ptr<TempDir> dir_;
  bool judged_ = false;
};

}  // namespace tide::test
