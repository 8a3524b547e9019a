// PostgreSQL and nats-server that the tests of one executable share; each test has a database of its own. One thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "support/jetstream.hpp"
#include "support/servers.hpp"

namespace tide::test {

class TwoServers : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    postgres_ = std::make_unique<PostgresServer>();
    nats_ = std::make_unique<NatsServer>();
  }
  static void TearDownTestSuite() {
    nats_.reset();
    postgres_.reset();
  }
  void SetUp() override { url_ = postgres_->create_database(); }

  std::string sql(const std::string& statements) const { return postgres_->psql(url_, statements); }
  static JetStream& js() {
    static std::unique_ptr<JetStream> client;
    static std::uint16_t port = 0;
    if (!client || port != nats_->port()) {
      client = std::make_unique<JetStream>(nats_->url());
      port = nats_->port();
    }
    return *client;
  }

  inline static std::unique_ptr<PostgresServer> postgres_;
  inline static std::unique_ptr<NatsServer> nats_;
  std::string url_;
};

}  // namespace tide::test
