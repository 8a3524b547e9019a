#include "base/backoff.hpp"

#include <gtest/gtest.h>

namespace tide {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, DoublesUpToTheLimitWithJitterOfHalfAStep) {
  Backoff backoff(milliseconds(100), milliseconds(1000));
  for (const int step : {100, 200, 400, 800, 1000, 1000}) {
    const auto pause = backoff.next().count();
    EXPECT_GE(pause, step / 2);
    EXPECT_LE(pause, step);
  }
}

TEST(Backoff, BeginsAnewAfterASuccess) {
  Backoff backoff(milliseconds(100), milliseconds(10'000));
  for (int i = 0; i < 10; ++i) backoff.next();
  backoff.reset();
  EXPECT_LE(backoff.next(), milliseconds(100));
}

}  // namespace
}  // namespace tide
