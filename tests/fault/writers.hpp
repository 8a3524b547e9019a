// Applications that publish: each event carries its key's next version, counted up in the same transaction under the
// key's row lock, and is written down in the table `expected`, which so holds exactly the committed events.
// The object belongs to one thread.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace tide::test {

// A header with which JetStream can never store an event, as the sink for NATS knows.
inline constexpr auto kRefusedByNats = R"({"Nats-Rollup": "all"})";

class Writers {
 public:
  // The tables and functions that writers and the judge use, in a database with the outbox `orders`. Some events carry
  // the header, a JSON object, that makes the sink refuse them; where it is empty, all can be sent.
  static std::string schema(const std::string& unsendable_header);

  static constexpr int kThreads = 4;
  static constexpr int kKeys = 24;

  // Starts writing; the rate is a rough one, of all threads together. Outages of PostgreSQL are waited out.
  explicit Writers(std::string url, int transactions_per_second = 300);
  ~Writers() { stop(); }

  void stop();
  [[nodiscard]] int transactions() const { return transactions_; }

 private:
  void write(const std::stop_token& stop, unsigned seed);

  const std::string url_;
  const int rate_;
  std::atomic<int> transactions_ = 0;  // that ended as they should, rolled back ones included
  std::vector<std::jthread> threads_;
};

}  // namespace tide::test
