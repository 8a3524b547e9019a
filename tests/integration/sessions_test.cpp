// Sessions: which server they reach, and what becomes of one that can't be used.
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "base/postgres.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

pg::Settings settings(const std::string& url) {
  return {url, "test", std::chrono::seconds(20)};
}

std::string port_of(pg::Session& session) {
  return std::string(session.query("SHOW port").at(0, 0));
}

class Sessions : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    one_ = std::make_unique<PostgresServer>();
    other_ = std::make_unique<PostgresServer>();
  }
  static void TearDownTestSuite() {
    other_.reset();
    one_.reset();
  }
  static std::string host_and_port(const PostgresServer& server) {
    return "127.0.0.1:" + std::to_string(server.port());
  }

  inline static std::unique_ptr<PostgresServer> one_;
  inline static std::unique_ptr<PostgresServer> other_;
};

TEST_F(Sessions, OfAUrlWithSeveralServersStayWithTheOneThatWasReached) {
  const auto dead = "localhost:" + std::to_string(free_port());
  const auto ports = std::to_string(one_->port()) + "," + std::to_string(other_->port());
  for (const auto& url : {"postgresql://postgres@" + dead + "," + host_and_port(*one_) + "," + host_and_port(*other_) +
                              "/postgres?target_session_attrs=read-write",
                          "postgresql://postgres@localhost," + host_and_port(*other_) + "/postgres?port=" + ports,
                          "host=localhost,localhost port=" + ports + " user=postgres dbname=postgres"}) {
    pg::Session first(settings(url));
    ASSERT_EQ(port_of(first), std::to_string(one_->port()));
    const auto narrowed = first.server_url();
    one_->stop(Stop::immediate);
    EXPECT_THROW(pg::Session{settings(narrowed)}, pg::ConnectionLost) << narrowed << " leads to another server";
    pg::Session moved(settings(url));
    EXPECT_EQ(port_of(moved), std::to_string(other_->port()));
    one_->start();
    pg::Session back(settings(narrowed));
    EXPECT_EQ(port_of(back), std::to_string(one_->port()));
  }
}

TEST_F(Sessions, KnowWhetherAnotherLivesBesideThem) {
  auto owner = std::make_unique<pg::Session>(settings(one_->url()));
  const auto identity = owner->identity();
  pg::Session beside(settings(one_->url()));
  pg::Session elsewhere(settings(other_->url()));
  EXPECT_NO_THROW(beside.require_beside(identity));
  EXPECT_THROW(elsewhere.require_beside(identity), pg::ConnectionLost);
  owner.reset();
  const auto gone = [&] {
    try {
      beside.require_beside(identity);
      return false;
    } catch (const pg::ConnectionLost&) {
      return true;
    }
  };
  EXPECT_TRUE(eventually(std::chrono::seconds(10), gone));
}

TEST_F(Sessions, OfAPoolThatCouldNotBePreparedAreNotLent) {
  int prepared = 0;
  pg::SessionPool pool(settings(one_->url()), 1, [&](pg::Session&) {
    if (++prepared == 1) throw pg::ConnectionLost("not this one");
  });
  EXPECT_THROW(pool.borrow(), pg::ConnectionLost);
  pool.borrow()->query("SELECT 1");
  EXPECT_EQ(prepared, 2) << "the one that was turned down was lent";
}

TEST_F(Sessions, OfAPoolThatWasGivenUpAreAwaitedByNobody) {
  pg::SessionPool pool(settings(one_->url()), 1, [](pg::Session&) {});
  auto lent = std::make_optional(pool.borrow());
  std::thread waiter([&] { EXPECT_THROW(pool.borrow(), pg::ConnectionLost); });
  pool.give_up();
  waiter.join();
  lent.reset();
  EXPECT_THROW(pool.borrow(), pg::ConnectionLost);
}

TEST_F(Sessions, SpeakUtf8WithADatabaseThatDoesNot) {
  one_->psql(one_->url(), "CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
  pg::Session session(settings(one_->url("latin1")));
  EXPECT_EQ(session.query("SELECT U&'\\00e9'").at(0, 0), "é");
  EXPECT_EQ(session.query("SELECT length($1)", {"é"}).at(0, 0), "1");
}

TEST_F(Sessions, GoOnAfterAStatementThatCouldNotBePrepared) {
  pg::Session session(settings(one_->url()));
  EXPECT_THROW(session.query_prepared("one", "SELECT * FROM not_there_yet", {}), pg::SqlError);
  session.query("CREATE TEMP TABLE not_there_yet (n int)");
  EXPECT_TRUE(session.query_prepared("one", "SELECT * FROM not_there_yet", {}).empty());
}

// A password that is not written as a URL wants it ends up in another part of it.
TEST_F(Sessions, ShowNoPartOfAUrlThatCannotBeRead) {
  for (const auto* url : {"postgresql://relay:s3cret%off@db/shop", "postgressql://relay:s3cret@db/shop",
                          "postgresql://relay:x@s3cret@db/shop", "postgresql://relay:s3cret/x@db/shop",
                          "postgresql://relay:s3cret@db:port/shop", "s3cret"}) {
    try {
      pg::Session session(settings(url));
      FAIL() << url;
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find("s3cret"), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("URL of PostgreSQL can't be read"), std::string::npos) << e.what();
    }
  }
  for (const auto* url : {"postgresql://relay:a%40b%2Fc@127.0.0.1:1/sh%40p", "postgresql:///shop?host=@nobody",
                          "postgresql://relay:a?b@127.0.0.1:1/shop", "postgresql://relay:it's@127.0.0.1:1/shop"}) {
    EXPECT_THROW(pg::Session{settings(url)}, pg::ConnectionLost) << url;
  }
}

}  // namespace
}  // namespace tide::test
