// The parts of the sink rabbitmq that need no server.
#include <gtest/gtest.h>

#include "rabbitmq/in_flight.hpp"
#include "rabbitmq/verdict.hpp"
#include "tide/sink.h"

namespace tide::rabbitmq {
namespace {

InFlight::Entry entry(std::uint64_t token, const std::string& order = {}) {
  return {token, "e", "k", "id", order, 10, {}};
}

TEST(InFlight, SettlesByTag) {
  InFlight flight(false);
  for (std::uint64_t token = 101; token <= 105; ++token) flight.add(entry(token));
  std::vector<std::uint64_t> settled;
  const auto settle = [&](const InFlight::Entry& e) { settled.push_back(e.token); };
  flight.confirmed(2, false, settle);
  flight.confirmed(2, false, settle);
  EXPECT_EQ(flight.oldest().token, 101u);
  flight.confirmed(3, true, settle);
  EXPECT_EQ(settled, (std::vector<std::uint64_t>{102, 101, 103}));
  EXPECT_EQ(flight.oldest().token, 104u);
  flight.confirmed(9, false, settle);
  flight.confirmed(1, true, settle);
  EXPECT_EQ(flight.size(), 2u);
  EXPECT_EQ(flight.bytes(), 20u);
  flight.end(settle);
  EXPECT_TRUE(flight.empty());
  flight.add(entry(106));
  flight.confirmed(1, false, settle);
  EXPECT_EQ(settled.back(), 106u) << "tags count from 1 again";
}

TEST(InFlight, AReturnIsOfTheFirstThatItMayBe) {
  InFlight flight(false);
  flight.add(entry(1));
  flight.add(entry(2));
  EXPECT_TRUE(flight.returned("id", "e", "k", "no route"));
  EXPECT_FALSE(flight.returned("other", "e", "k", "no route"));
  std::vector<bool> returned;
  flight.end([&](const InFlight::Entry& e) { returned.push_back(!e.returned.empty()); });
  EXPECT_EQ(returned, (std::vector<bool>{true, false}));
}

TEST(InFlight, OneOfEachOrder) {
  InFlight flight(true);
  flight.add(entry(1, "a"));
  EXPECT_TRUE(flight.must_wait("a"));
  EXPECT_FALSE(flight.must_wait("b"));
  flight.confirmed(1, false, [](const InFlight::Entry&) {});
  EXPECT_FALSE(flight.must_wait("a"));
}

TEST(Verdict, ReadsWhatTheServerSays) {
  EXPECT_EQ(missing_exchange("NOT_FOUND - no exchange 'it's' in vhost '/'"), "it's");
  EXPECT_EQ(missing_exchange("NOT_FOUND - no queue 'q' in vhost '/'"), "");
  EXPECT_EQ(largest_message("PRECONDITION_FAILED - message size 2000 is larger than configured max size 1000"), 1000u);
  EXPECT_EQ(largest_message("PRECONDITION_FAILED - invalid priority"), std::nullopt);
  EXPECT_EQ(outcome_of_close(320, "CONNECTION_FORCED - shutdown"), TIDE_RETRY);
  EXPECT_EQ(outcome_of_close(403, "ACCESS_REFUSED - Login was refused"), TIDE_FATAL);
  EXPECT_EQ(outcome_of_close(530, "NOT_ALLOWED - vhost x not found"), TIDE_FATAL);
  EXPECT_EQ(outcome_of_close(530, "NOT_ALLOWED - access refused: connection limit (1) is reached"), TIDE_RETRY);
  EXPECT_EQ(outcome_of_channel(406), TIDE_FATAL);
  EXPECT_EQ(outcome_of_channel(541), TIDE_RETRY);
}

}  // namespace
}  // namespace tide::rabbitmq
