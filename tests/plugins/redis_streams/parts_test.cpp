// The parts of the sink redis_streams that need no server, and the URLs of all sinks that take plugins/net's.
#include <gtest/gtest.h>

#include "net/server_url.hpp"
#include "redis_streams/answer.hpp"
#include "redis_streams/stream_shape.hpp"
#include "tide/sink.hpp"

namespace tide::redis {
namespace {

constexpr net::Schemes kSchemes{"redis", 6379, "rediss", 6380, true};

TEST(ServerUrl, HasDefaultsAndParts) {
  const auto plain = net::server_urls("redis://h", kSchemes).at(0);
  EXPECT_EQ(plain.host, "h");
  EXPECT_EQ(plain.port, 6379);
  EXPECT_FALSE(plain.tls);
  EXPECT_FALSE(plain.has_path);
  const auto full = net::server_urls("rediss://u:p%40%2F@[::1]:7/2", kSchemes).at(0);
  EXPECT_EQ(full.host, "::1");
  EXPECT_EQ(full.port, 7);
  EXPECT_TRUE(full.tls);
  EXPECT_EQ(full.username, "u");
  EXPECT_EQ(full.password, "p@/");
  EXPECT_EQ(full.path, "2");
  EXPECT_EQ(full.shown, "rediss://[::1]:7");
  EXPECT_EQ(net::server_urls("unix:///run/r.sock", kSchemes).at(0).path, "/run/r.sock");
  EXPECT_EQ(net::server_urls("redis://a, redis://b:1", kSchemes).at(1).shown, "redis://b:1");
}

TEST(ServerUrl, WhatIsNoneIsRefusedAndNotShown) {
  for (const auto* text :
       {"", "h:1", "http://h", "redis://", "redis://h:x", "redis://h:70000", "redis://[::1", "redis://u:secret%4@h",
        "redis://h,", "redis://h x", "unix://h", "redis://secret@h,redis://h"}) {
    try {
      net::server_urls(text, kSchemes);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), TIDE_FATAL);
      EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
    }
  }
}

TEST(StreamShape, TakesValuesThatAddNoPart) {
  const StreamShape fixed("orders");
  EXPECT_TRUE(fixed.takes("orders"));
  EXPECT_FALSE(fixed.takes("orders2"));
  const StreamShape shape("a:\x1a:{\x1c}:z");
  EXPECT_TRUE(shape.takes("a:1:{x.y}:z"));
  for (const auto* other : {"a:1:2:{x}:z", "a:1:{x}", "b:1:{x}:z", "a:1{:x}:z:", "a:z"})
    EXPECT_FALSE(shape.takes(other)) << other;
  EXPECT_FALSE(StreamShape("ab\x1a"
                           "ba")
                   .takes("aba"))
      << "a prefix and a suffix that overlap";
}

TEST(StreamShape, KeysBesideAStreamStandInItsSlot) {
  EXPECT_EQ(key_beside("orders", "p", "ids"), "{orders}:tide:p:ids");
  EXPECT_EQ(key_beside("a{b}c", "p", "ids"), "a{b}c:tide:p:ids");
  EXPECT_EQ(key_beside("a{}c", "p", "ids"), "{a{}c}:tide:p:ids") << "empty braces are no tag";
}

TEST(Answer, SortsWhatRedisSays) {
  EXPECT_EQ(outcome_of("OOM command not allowed", true), TIDE_RETRY);
  EXPECT_EQ(outcome_of("LOADING Redis is loading", true), TIDE_RETRY);
  EXPECT_EQ(outcome_of("ERR max number of clients reached", true), TIDE_RETRY);
  EXPECT_EQ(outcome_of("READONLY You can't write", true), TIDE_RECONNECT);
  EXPECT_EQ(outcome_of("WRONGTYPE Operation", true), TIDE_FATAL);
  EXPECT_EQ(outcome_of("WRONGTYPE Operation", false), TIDE_REJECTED);
  EXPECT_EQ(outcome_of("ERR Elements are too large to be stored", true), TIDE_REJECTED);
  EXPECT_EQ(outcome_of("MOVED 3999 127.0.0.1:6381", true), TIDE_FATAL);
  EXPECT_EQ(outcome_of("ERR something new", true), TIDE_FATAL);
  EXPECT_EQ(without_place("@user_script: 12: -OOM command not allowed"), "OOM command not allowed");
  EXPECT_EQ(without_place("OOM command not allowed: -1"), "OOM command not allowed: -1");
}

}  // namespace
}  // namespace tide::redis
