// The parts of the plugin that need no server.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nats_jetstream/ack.hpp"
#include "nats_jetstream/connect_limit.hpp"
#include "nats_jetstream/in_flight.hpp"
#include "nats_jetstream/nkey.hpp"
#include "nats_jetstream/sequence_chain.hpp"
#include "nats_jetstream/server_url.hpp"
#include "nats_jetstream/subject.hpp"
#include "nats_jetstream/tls_error.hpp"
#include "tide/sink.hpp"

namespace tide::nats {
namespace {

TEST(Nkey, DerivesThePublicKeyOfTheDocumentedPair) {
  EXPECT_EQ(public_key_of_user_seed("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"),
            "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
}

TEST(Nkey, RefusesWhatIsNoUserSeed) {
  for (const auto* text : {"", "SU", "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VA",
                           "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
                           "suacssl3uahudxkfsnvuzrf5uhpmwz6bfdtj7m6usdxiednppqyyycu3vy"})
    EXPECT_THROW(public_key_of_user_seed(text), Error) << text;
}

TEST(ServerUrl, FillsInSchemeAndPort) {
  const auto urls = parse_server_urls("one, nats://two:1/, tls://three, nats://[::1], nats://[::1]:2");
  ASSERT_EQ(urls.size(), 5u);
  EXPECT_EQ(urls[0].address, "nats://one:4222");
  EXPECT_EQ(urls[1].address, "nats://two:1");
  EXPECT_EQ(urls[2].address, "nats://three:4222");
  EXPECT_TRUE(urls[2].tls);
  EXPECT_FALSE(urls[1].tls);
  EXPECT_EQ(urls[3].address, "nats://[::1]:4222");
  EXPECT_EQ(urls[4].address, "nats://[::1]:2");
}

TEST(ServerUrl, DecodesUserInfo) {
  const auto urls = parse_server_urls("nats://a%40b:c%3Ad@host");
  EXPECT_EQ(urls[0].username, "a@b");
  EXPECT_EQ(urls[0].password, "c:d");
  EXPECT_EQ(urls[0].address, "nats://host:4222");
}

TEST(ServerUrl, RefusesWhatIsNoUrl) {
  for (const auto* text :
       {"", "nats://", "nats://:4222", "http://host", "nats://host:0", "nats://host:65536", "nats://host:x",
        "nats://host:", "nats://host/path", "nats://host,", "nats://[::1", "nats://a%4@host", "nats://a%zz@host",
        "nats://ho st", "nats://ho\nst", "nats://[]", "nats://[::1]x", "nats://[[::1]", "nats://a[b]"})
    EXPECT_THROW(parse_server_urls(text), Error) << text;
}

TEST(Subject, KnowsWhatCanBePublished) {
  for (const auto* good : {"a", "a.b", "events.orders.insert", "\xC3\xA9v\xC3\xA9nements.x", "$a.b"})
    EXPECT_TRUE(is_publishable(good)) << good;
  for (const auto* bad : {"", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "a\tb", "a\x7f", "a.x*y"})
    EXPECT_FALSE(is_publishable(bad)) << bad;
}

TEST(Subject, TurnsUnknownTokensIntoWildcards) {
  EXPECT_EQ(filter_of("events.\x1a.\x1a"), "events.*.*");
  EXPECT_EQ(filter_of("events.t-\x1a-x.insert"), "events.*.insert");
  EXPECT_EQ(filter_of("events"), "events");
  EXPECT_EQ(filter_of("events.\x1a.\x1c.x"), "events.*.>");
}

TEST(Subject, KnowsWhenFiltersMeet) {
  EXPECT_TRUE(overlaps("events.>", "events.*.*"));
  EXPECT_TRUE(overlaps("events.orders.*", "events.*.insert"));
  EXPECT_TRUE(overlaps("a.b", "a.b"));
  EXPECT_FALSE(overlaps("events.>", "events"));
  EXPECT_FALSE(overlaps("events.*", "events.*.*"));
  EXPECT_FALSE(overlaps("orders.>", "events.*"));
}

TEST(Ack, ProvesStorageByStreamAndSequence) {
  AckReader acks;
  const auto stored = acks.judge(R"({"stream":"S","seq":7})", "");
  EXPECT_EQ(stored.status, TIDE_STORED);
  EXPECT_EQ(stored.sequence, 7u);
  EXPECT_FALSE(stored.duplicate);
  EXPECT_TRUE(acks.judge(R"({"stream":"S","seq":7,"duplicate":true,"domain":"hub"})", "S").duplicate);
}

TEST(Ack, TakesNothingElseForStored) {
  AckReader acks;
  for (const auto* answer : {R"({"stream":"S","seq":0,"duplicate":true})", R"({"stream":"T","seq":1})", R"({"seq":1})",
                             R"({"stream":"S","seq":-1})", "{}", "[]", "", "+OK", R"({"stream":"S","seq":)"})
    EXPECT_EQ(acks.judge(answer, "S").status, TIDE_RETRY) << answer;
}

TEST(Ack, RejectsOnlyWhatCanNeverBeStored) {
  AckReader acks;
  const auto status_of = [&](int err_code) {
    return acks.judge(R"({"error":{"code":400,"err_code":)" + std::to_string(err_code) + R"(,"description":"no"}})", "")
        .status;
  };
  EXPECT_EQ(status_of(10054), TIDE_REJECTED);
  EXPECT_EQ(status_of(10097), TIDE_REJECTED);
  EXPECT_EQ(status_of(10060), TIDE_FATAL);
  for (const int code : {10002, 10077, 10158, 10167, 1, 0}) EXPECT_EQ(status_of(code), TIDE_RETRY) << code;
}

TEST(InFlight, AnswersEachMessageOnceAndFreesTheOldestFirst) {
  InFlight in_flight;
  const std::chrono::steady_clock::time_point now;
  for (std::uint64_t token = 100; token < 103; ++token) in_flight.add(token, "s", now);
  EXPECT_EQ(in_flight.answer(2)->token, 101u);
  EXPECT_EQ(in_flight.answer(2), nullptr);
  EXPECT_EQ(in_flight.answer(4), nullptr);
  EXPECT_EQ(in_flight.oldest().token, 100u);
  EXPECT_EQ(in_flight.answer(1)->token, 100u);
  EXPECT_EQ(in_flight.oldest().token, 102u);
  EXPECT_EQ(in_flight.unanswered(), 1u);
}

TEST(InFlight, IsFullAtItsCapacity) {
  InFlight in_flight;
  for (std::uint64_t i = 0; i < InFlight::capacity; ++i) {
    ASSERT_FALSE(in_flight.full());
    in_flight.add(i + 1, "s", {});
  }
  EXPECT_TRUE(in_flight.full());
  in_flight.answer(in_flight.oldest_number());
  EXPECT_FALSE(in_flight.full());
}

TEST(Subject, KnowsWhichFilterCoversAnother) {
  EXPECT_TRUE(covers("events.>", "events.>"));
  EXPECT_TRUE(covers("events.>", "events.a.*"));
  EXPECT_TRUE(covers("*.a", "events.a"));
  EXPECT_TRUE(covers(">", "a"));
  EXPECT_FALSE(covers("events.*", "events.>"));
  EXPECT_FALSE(covers("events.a", "events.*"));
  EXPECT_FALSE(covers("events.>", "events"));
  EXPECT_FALSE(covers("events", "events.a"));
}

TEST(Subject, FindsOneFilterForSeveral) {
  EXPECT_EQ(common_filter({"events"}), "events");
  EXPECT_EQ(common_filter({"events.a", "events.a"}), "events.a");
  EXPECT_EQ(common_filter({"events.*.*"}), "events.>");
  EXPECT_EQ(common_filter({"*.a"}), ">");
  EXPECT_EQ(common_filter({"events.a.b", "events.a.c"}), "events.a.>");
  EXPECT_EQ(common_filter({"events.a", "events.a.b"}), "events.>");
  EXPECT_EQ(common_filter({"events.a.b", "events.a"}), "events.>");
  EXPECT_EQ(common_filter({"events.ab.c", "events.a.c"}), "events.>");
  EXPECT_EQ(common_filter({"events.*.x", "events.a.>"}), "events.>");
  EXPECT_EQ(common_filter({"events.a", "other.a"}), ">");
}

TEST(SequenceChain, CountsWhatIsSent) {
  SequenceChain chain(7);
  EXPECT_EQ(chain.next(), 7u);
  EXPECT_EQ(chain.next(), 8u);
}

TEST(SequenceChain, BlamesNobodyForWhatAMessageOfItsOwnBroke) {
  SequenceChain chain(7);
  for (int i = 0; i < 10; ++i) {
    chain.broken_by_own();
    chain.wrong_sequence();
    EXPECT_TRUE(chain.broken());
    chain.mend(7);
  }
  EXPECT_FALSE(chain.broken());
  EXPECT_FALSE(chain.other_writer_suspected());
}

TEST(SequenceChain, GivesUpWhenMendingDoesNotHelp) {
  SequenceChain chain(7);
  for (int i = 0; i < SequenceChain::max_foreign; ++i) {
    chain.wrong_sequence();
    chain.stored();  // by chance, after one that was refused: no progress
    EXPECT_FALSE(chain.has_other_writer());
    chain.mend(7);
  }
  chain.wrong_sequence();
  EXPECT_TRUE(chain.has_other_writer());
}

TEST(SequenceChain, ForgivesAfterProgress) {
  SequenceChain chain(7);
  for (int i = 0; i < 10; ++i) {
    chain.wrong_sequence();
    chain.mend(7);
    chain.stored();
  }
  EXPECT_FALSE(chain.has_other_writer());
}

TEST(TlsError, StopsForACertificateAndRetriesABrokenConnection) {
  const auto status_of = [](const std::string& text) {
    try {
      throw_tls_error("TLS failed", text, 1);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
      return error.status();
    }
  };
  EXPECT_EQ(status_of("SSL handshake error: 10:certificate has expired:depth=0"), TIDE_FATAL);
  EXPECT_EQ(status_of("SSL handshake error: sslv3 alert bad certificate"), TIDE_FATAL);
  EXPECT_EQ(status_of("SSL handshake error: unexpected eof while reading"), TIDE_RETRY);
  EXPECT_EQ(status_of(""), TIDE_RETRY);
}

// Listens on a loopback port, and connects to it; nobody ever says anything.
class Quiet {
 public:
  Quiet() {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    if (::bind(listener_, generic(), size) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, generic(), &size) != 0)
      throw std::runtime_error("cannot listen");
  }
  ~Quiet() {
    for (const int fd : connections_) ::close(fd);
    ::close(listener_);
  }
  std::uint16_t port() const { return ntohs(address_.sin_port); }
  int connect() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connections_.push_back(fd);
    EXPECT_EQ(::connect(fd, generic(), sizeof address_), 0);
    return fd;
  }

 private:
  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address_); }
  int listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address_{};
  std::vector<int> connections_;
};

bool ended(int fd) {
  char byte = 0;
  return ::recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

TEST(ConnectLimit, EndsTheAttemptAndNoOtherConnection) {
  Quiet server;
  Quiet other_server;
  const int before = server.connect();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  const ConnectLimit limit(deadline, {server.port()});
  const int made_meanwhile = server.connect();
  ConnectLimit::claim(made_meanwhile);
  const int elsewhere = other_server.connect();
  const int attempt = server.connect();
  const int second_attempt = server.connect();

  char byte = 0;
  EXPECT_EQ(::recv(attempt, &byte, 1, 0), 0);  // blocks, as the TLS handshake does
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  EXPECT_EQ(::recv(second_attempt, &byte, 1, 0), 0);
  EXPECT_FALSE(ended(before));
  EXPECT_FALSE(ended(made_meanwhile));
  EXPECT_FALSE(ended(elsewhere));

  ConnectLimit::release(made_meanwhile);
  EXPECT_EQ(::recv(made_meanwhile, &byte, 1, 0), 0);
}

}  // namespace
}  // namespace tide::nats
