#include "ledger/ack_ledger.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace tide {
namespace {

// A page of new events with the given ids, read from nothing under snapshot "9:9:".
std::shared_ptr<const Page> page(const std::vector<std::int64_t>& ids, std::size_t late = 0) {
  auto p = std::make_shared<Page>();
  for (const auto id : ids) {
    Event event;
    event.id = id;
    event.key = "k";
    event.payload = "{}";
    p->events.push_back(event);
  }
  p->late_count = late;
  p->bytes = ids.size();
  p->snapshot = "9:9:";
  p->next_xid = 9;
  p->before.last_id = 50;
  p->end = {ids.empty() ? 50 : ids.back(), "9:9:", 9, {}};
  return p;
}

TEST(AckLedger, MovesOnlyOverTheSettledPrefix) {
  AckLedger ledger;
  const auto first = ledger.add(page({101, 102, 103}));
  EXPECT_FALSE(ledger.acknowledge());
  ledger.stored(first + 1, 0);
  ledger.stored(first + 2, 0);
  EXPECT_FALSE(ledger.acknowledge()) << "the first event has no result yet";
  ledger.stored(first, 0);
  const auto progress = ledger.acknowledge();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->position().last_id, 103);
  EXPECT_TRUE(ledger.empty());
  EXPECT_FALSE(ledger.acknowledge()) << "the same progress twice";
}

TEST(AckLedger, StopsWithinAPage) {
  AckLedger ledger;
  const auto first = ledger.add(page({101, 102, 103}));
  ledger.stored(first, 0);
  ledger.stored(first + 1, 0);
  const auto progress = ledger.acknowledge();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->position().last_id, 102);
  EXPECT_EQ(ledger.first_token(), first + 2);
  EXPECT_EQ(ledger.event(first + 2).id, 103);
}

TEST(AckLedger, KeepsItsPlaceWithinLateRows) {
  AckLedger ledger;
  const auto first = ledger.add(page({11, 12, 101}, 2));
  ledger.stored(first, 0);
  const auto progress = ledger.acknowledge();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->position().last_id, 50) << "late rows do not move the highest id";
  ASSERT_TRUE(progress->position().late);
  EXPECT_EQ(progress->position().late->last_id, 11);
  EXPECT_EQ(progress->position().late->snapshot, "9:9:");
}

TEST(AckLedger, SpansPages) {
  AckLedger ledger;
  const auto first = ledger.add(page({101}));
  const auto second = ledger.add(page({102, 103}));
  EXPECT_EQ(second, first + 1);
  EXPECT_EQ(ledger.bytes(), 3u);
  ledger.stored(second, 0);
  ledger.stored(first, 0);
  EXPECT_EQ(ledger.acknowledge()->position().last_id, 102);
  EXPECT_EQ(ledger.bytes(), 2u);
}

TEST(AckLedger, APageWithoutEventsMovesThePosition) {
  AckLedger ledger;
  ledger.add(page({}));
  const auto progress = ledger.acknowledge();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->position().snapshot, "9:9:");
}

TEST(AckLedger, TakesOneResultPerToken) {
  AckLedger ledger;
  const auto first = ledger.add(page({101, 102}));
  EXPECT_TRUE(ledger.stored(first, 0));
  EXPECT_FALSE(ledger.stored(first, 0));
  EXPECT_FALSE(ledger.rejected(first, "", ""));
  EXPECT_FALSE(ledger.stored(first + 2, 0)) << "a token that was never given";
  ledger.acknowledge();
  EXPECT_FALSE(ledger.stored(first, 0)) << "a token that is long committed";
}

TEST(AckLedger, DeadLettersGoWithTheProgressThatCoversThem) {
  AckLedger ledger;
  const auto first = ledger.add(page({101, 102, 103}));
  ledger.rejected(first + 1, "a.b", "too large");
  EXPECT_FALSE(ledger.acknowledge()) << "the event before it is open";
  ledger.stored(first, 0);
  const auto progress = ledger.acknowledge();
  ASSERT_TRUE(progress);
  ASSERT_EQ(progress->dead_letters().size(), 1u);
  EXPECT_EQ(progress->dead_letters()[0].outbox_id, 102);
  EXPECT_EQ(progress->dead_letters()[0].subject, "a.b");
  EXPECT_EQ(progress->dead_letters()[0].error, "too large");
  ledger.stored(first + 2, 0);
  EXPECT_TRUE(ledger.acknowledge()->dead_letters().empty());
}

TEST(AckLedger, TheSinkPositionLeavesNothingUnsettledBehindIt) {
  AckLedger ledger;
  const auto first = ledger.add(page({101, 102, 103}));
  ledger.stored(first + 2, 7);  // stored before the first one, which was sent again
  ledger.stored(first, 9);
  EXPECT_EQ(ledger.acknowledge()->sink_position(), 6u);
  ledger.stored(first + 1, 8);
  EXPECT_EQ(ledger.acknowledge()->sink_position(), 9u);
}

TEST(AckLedger, TheSinkPositionNeverGoesBack) {
  AckLedger ledger({}, 100);
  const auto first = ledger.add(page({101, 102, 103}));
  ledger.rejected(first, "", "too large");
  EXPECT_EQ(ledger.acknowledge()->sink_position(), 100u) << "a rejected event stands nowhere";
  ledger.stored(first + 2, 7);  // a key that was used long ago
  ledger.stored(first + 1, 120);
  EXPECT_EQ(ledger.acknowledge()->sink_position(), 120u);
}

TEST(AckLedger, TheSinkMaySayWhereItStands) {
  AckLedger ledger({.last_id = 50, .snapshot = "9:9:", .next_xid = 9, .late = {}}, 100);
  const auto first = ledger.add(page({101, 102}));
  ledger.stored(first + 1, 200);
  const auto standing = ledger.stand_at(1);
  EXPECT_EQ(standing.position().last_id, 50);
  EXPECT_EQ(standing.sink_position(), 1u);
  ledger.stored(first, 2);
  EXPECT_EQ(ledger.acknowledge()->sink_position(), 2u) << "200 was counted elsewhere";
}

// Dead letters that are sent again, read when the position was at event 50.
std::shared_ptr<const Page> letters(const std::vector<std::int64_t>& ids) {
  auto p = std::make_shared<Page>(*page(std::vector<std::int64_t>(ids.size(), 7)));
  p->letter_ids = ids;
  p->end = p->before;
  return p;
}

TEST(AckLedger, LettersNeverMoveThePositionAndAreSettledWithTheProgressThatCoversThem) {
  AckLedger ledger;
  const auto first = ledger.add(letters({11, 12, 13}));
  const auto event = ledger.add(page({101}));
  EXPECT_EQ(ledger.letter_id(first + 1), 12);
  EXPECT_EQ(ledger.letter_id(event), 0);
  ledger.rejected(first + 1, "a.b", "too large");
  ledger.stored(event, 0);
  EXPECT_FALSE(ledger.acknowledge()) << "the first letter has no result yet";
  ledger.stored(first, 0);
  auto progress = ledger.acknowledge();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->position().last_id, 50);
  EXPECT_TRUE(progress->dead_letters().empty()) << "a letter that is rejected again is not stored a second time";
  ASSERT_EQ(progress->retried_letters().size(), 2u);
  EXPECT_EQ(progress->retried_letters()[0].dead_letter_id, 11);
  EXPECT_FALSE(progress->retried_letters()[0].rejected);
  EXPECT_EQ(progress->retried_letters()[1].dead_letter_id, 12);
  EXPECT_TRUE(progress->retried_letters()[1].rejected);
  EXPECT_EQ(progress->retried_letters()[1].error, "too large");
  ledger.stored(first + 2, 0);
  progress = ledger.acknowledge();
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->position().last_id, 101);
  ASSERT_EQ(progress->retried_letters().size(), 1u);
  EXPECT_EQ(progress->retried_letters()[0].dead_letter_id, 13);
}

TEST(AckLedger, ALetterThatIsPutBackHasNoResult) {
  AckLedger ledger;
  const auto first = ledger.add(letters({11, 12}));
  ledger.put_back(first);
  ledger.stored(first + 1, 0);
  const auto progress = ledger.acknowledge();
  ASSERT_TRUE(progress);
  ASSERT_EQ(progress->retried_letters().size(), 1u);
  EXPECT_EQ(progress->retried_letters()[0].dead_letter_id, 12);
  EXPECT_TRUE(ledger.empty());
}

TEST(AckLedger, HandsOutABoundedNumberOfDeadLettersAtATime) {
  AckLedger ledger;
  std::vector<std::int64_t> ids(2 * AckLedger::kLetters + 100);
  std::iota(ids.begin(), ids.end(), 1);
  const auto first = ledger.add(page(ids));
  for (std::size_t i = 0; i < ids.size(); ++i) ledger.rejected(first + i, "", "no");
  std::size_t covered = 0;
  while (const auto progress = ledger.acknowledge()) {
    EXPECT_LE(progress->dead_letters().size(), AckLedger::kLetters);
    covered += progress->dead_letters().size();
    EXPECT_EQ(progress->position().last_id, static_cast<std::int64_t>(covered));
    EXPECT_EQ(progress->dead_letters().back().outbox_id, static_cast<std::int64_t>(covered));
  }
  EXPECT_EQ(covered, ids.size());
  EXPECT_TRUE(ledger.empty());
}

}  // namespace
}  // namespace tide
