#include "batch/batcher.hpp"

#include <gtest/gtest.h>

#include <tuple>

namespace tide {
namespace {

Page page(std::size_t events, std::size_t bytes_each) {
  static const std::string text(8 << 20, 'x');
  Page p;
  p.events.resize(events);
  for (auto& e : p.events) e.payload = std::string_view(text).substr(0, bytes_each);
  return p;
}

std::vector<std::uint64_t> copy(std::span<const std::uint64_t> tokens) {
  return {tokens.begin(), tokens.end()};
}

TEST(Batcher, CutsFullBatchesAndSendsWhatIsLeftAtOnce) {
  Batcher batcher(3);
  batcher.add(page(5, 10), 1);
  EXPECT_EQ(copy(batcher.next()), (std::vector<std::uint64_t>{1, 2, 3}));
  batcher.sent(3);
  EXPECT_EQ(copy(batcher.next()), (std::vector<std::uint64_t>{4, 5}));
}

TEST(Batcher, OffersAgainWhatTheSinkDidNotTake) {
  Batcher batcher(3);
  batcher.add(page(4, 10), 1);
  std::ignore = batcher.next();
  batcher.sent(1);
  EXPECT_EQ(copy(batcher.next()), (std::vector<std::uint64_t>{2, 3, 4}));
}

TEST(Batcher, SendsRepeatsFirst) {
  Batcher batcher(10);
  batcher.add(page(2, 10), 5);
  const std::vector<std::uint64_t> repeats{1, 3};
  batcher.again(repeats);
  EXPECT_EQ(copy(batcher.next()), (std::vector<std::uint64_t>{1, 3, 5, 6}));
}

TEST(Batcher, ReadsMoreAtOnceTheSmallerTheEventsAre) {
  Batcher batcher(100);
  for (int i = 0; i < 10; ++i) batcher.add(page(10, 100), 1);
  EXPECT_EQ(batcher.read_limit(), Batcher::kMaxRead);
  batcher.add(page(2, 1 << 20), 1);
  EXPECT_LE(batcher.read_limit() * (1 << 20), Batcher::kPageBytes);
  batcher.add(page(1, 8 << 20), 1);
  EXPECT_EQ(batcher.read_limit(), 1u) << "an event larger than a page still has to go";
}

}  // namespace
}  // namespace tide
