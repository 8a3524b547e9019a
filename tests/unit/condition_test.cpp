#include "template/condition.hpp"

#include <gtest/gtest.h>

namespace tide {
namespace {

using Is = Condition::Test;
using Scalar = Condition::Scalar;

bool holds(std::string_view field, Is test, std::vector<Scalar> operands = {}) {
  static const std::string payload =
      R"({"region": "eu-west", "n": 5, "d": 5.0, "half": 2.5, "big": 9007199254740993, "huge": 1e30, "ok": true,
      "five": "5", "none": null, "o": {"a": "x"}, "l": ["eu"], "at": "2026-01-02"})";
  Event e;
  e.op = "insert";
  e.stream_table = "orders";
  e.key = "k-1";
  e.headers = R"({"tenant.id": "t1", "n": 7})";
  e.payload = payload;
  EventJson json;
  json.headers.reset(e.headers);
  json.payload.reset(e.payload);
  return Condition{*EventField::parse(field), test, std::move(operands)}.holds(e, json);
}

const std::string kText = "x";

TEST(Condition, EqualsEachKindOfValue) {
  EXPECT_TRUE(holds("op", Is::any_of, {"insert"}));
  EXPECT_TRUE(holds("stream_table", Is::any_of, {"orders"}));
  EXPECT_TRUE(holds("dedup_key", Is::any_of, {"k-1"}));
  EXPECT_TRUE(holds("header.tenant.id", Is::any_of, {"t1"}));
  EXPECT_TRUE(holds("header.n", Is::any_of, {std::int64_t{7}}));
  EXPECT_TRUE(holds("payload.region", Is::any_of, {"eu-west"}));
  EXPECT_TRUE(holds("payload.o.a", Is::any_of, {"x"}));
  EXPECT_TRUE(holds("payload.ok", Is::any_of, {true}));
  EXPECT_FALSE(holds("payload.ok", Is::any_of, {false}));
  EXPECT_FALSE(holds("op", Is::any_of, {"Insert"}));
}

TEST(Condition, AnyValueOfAListWillDo) {
  EXPECT_TRUE(holds("op", Is::any_of, {"update", "insert"}));
  EXPECT_FALSE(holds("op", Is::any_of, {"update", "delete"}));
}

TEST(Condition, DoesNotConvertBetweenTypes) {
  EXPECT_FALSE(holds("payload.five", Is::any_of, {std::int64_t{5}}));
  EXPECT_FALSE(holds("payload.n", Is::any_of, {"5"}));
  EXPECT_FALSE(holds("payload.ok", Is::any_of, {"true"}));
  EXPECT_FALSE(holds("payload.n", Is::greater, {"4"}));
  EXPECT_FALSE(holds("payload.five", Is::greater, {std::int64_t{4}}));
}

TEST(Condition, NumbersAreOneTypeAndWholeOnesAreExact) {
  EXPECT_TRUE(holds("payload.d", Is::any_of, {std::int64_t{5}}));
  EXPECT_TRUE(holds("payload.n", Is::any_of, {5.0}));
  EXPECT_TRUE(holds("payload.half", Is::any_of, {2.5}));
  EXPECT_FALSE(holds("payload.big", Is::any_of, {std::int64_t{9007199254740992}}));
  EXPECT_TRUE(holds("payload.big", Is::any_of, {std::int64_t{9007199254740993}}));
  EXPECT_TRUE(holds("payload.huge", Is::greater, {std::int64_t{9223372036854775807}}));
}

TEST(Condition, OrdersNumbersAndTexts) {
  const Scalar five = std::int64_t{5};
  EXPECT_FALSE(holds("payload.n", Is::greater, {five}));
  EXPECT_TRUE(holds("payload.n", Is::at_least, {five}));
  EXPECT_FALSE(holds("payload.n", Is::less, {five}));
  EXPECT_TRUE(holds("payload.n", Is::at_most, {five}));
  EXPECT_TRUE(holds("payload.n", Is::greater, {4.5}));
  EXPECT_TRUE(holds("payload.n", Is::less, {5.5}));
  EXPECT_TRUE(holds("payload.at", Is::at_least, {"2026-01-01"}));
  EXPECT_FALSE(holds("payload.at", Is::less, {"2026-01-02"}));
  EXPECT_TRUE(holds("op", Is::greater, {"i"}));
}

TEST(Condition, TestsBeginningAndEndOfTexts) {
  EXPECT_TRUE(holds("payload.region", Is::prefix, {"eu-"}));
  EXPECT_FALSE(holds("payload.region", Is::prefix, {"us-"}));
  EXPECT_TRUE(holds("payload.region", Is::suffix, {"west"}));
  EXPECT_FALSE(holds("payload.region", Is::suffix, {"east"}));
  EXPECT_FALSE(holds("payload.n", Is::prefix, {"5"}));
}

TEST(Condition, WhatIsMissingOrNullIsAbsentAndDiffersFromAll) {
  for (const char* field : {"payload.zone", "payload.none", "payload.region.x", "header.zone", "payload.l.x"}) {
    EXPECT_TRUE(holds(field, Is::absent)) << field;
    EXPECT_FALSE(holds(field, Is::present)) << field;
    EXPECT_FALSE(holds(field, Is::any_of, {kText})) << field;
    EXPECT_TRUE(holds(field, Is::none_of, {kText})) << field;
    EXPECT_FALSE(holds(field, Is::prefix, {""})) << field;
    EXPECT_FALSE(holds(field, Is::at_most, {kText})) << field;
  }
  EXPECT_TRUE(holds("payload.region", Is::present));
  EXPECT_FALSE(holds("payload.region", Is::absent));
  EXPECT_FALSE(holds("op", Is::none_of, {"insert"}));
}

TEST(Condition, ObjectsAndArraysArePresentAndEqualToNothing) {
  for (const char* field : {"payload.o", "payload.l"}) {
    EXPECT_TRUE(holds(field, Is::present)) << field;
    EXPECT_FALSE(holds(field, Is::any_of, {"eu"})) << field;
    EXPECT_TRUE(holds(field, Is::none_of, {"eu"})) << field;
  }
}

}  // namespace
}  // namespace tide
