// A resolver that hangs holds up a connect for its deadline and no longer, and the error says so. Needs the right to
// mount: another /etc/resolv.conf, for this process alone.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "plugins/plugin_host.hpp"
#include "support/process.hpp"

namespace tide::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

// Takes questions, and never answers.
class Silence {
 public:
  Silence() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    ::inet_pton(AF_INET, address_.c_str(), &address.sin_addr);
    listens_ = ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    std::ofstream(dir_ / "resolv.conf") << "nameserver " << address_ << '\n';
  }
  ~Silence() { ::close(socket_); }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  bool take_over() const {
    return listens_ && ::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount((dir_ / "resolv.conf").c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) == 0;
  }
  bool asked() const {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) > 0;
  }

 private:
  TempDir dir_;
  // Of this test alone.
  const std::string address_ =
      "127.77." + std::to_string(::getpid() / 250 % 250) + "." + std::to_string(1 + ::getpid() % 250);
  const int socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool listens_ = false;
};

TEST(SilentResolver, CostsAConnectItsDeadline) {
  const Silence silence;
  if (!silence.take_over()) GTEST_SKIP() << "this user may not mount another /etc/resolv.conf";
  const auto begin = Clock::now();
  const Instance sink(
      {{variable("TIDE_TEST_SERVERS"), variable("TIDE_TEST_URL")}, {variable("TIDE_TEST_TARGET"), "events"}},
      seconds(5));
  EXPECT_LT(Clock::now() - begin, seconds(8)) << "the C library alone waits for 10 s";
  EXPECT_EQ(sink.connected().status, TIDE_RETRY);
  EXPECT_NE(sink.connected().error.find("broker.example"), std::string::npos) << sink.connected().error;
  EXPECT_NE(sink.connected().error.find("resol"), std::string::npos) << sink.connected().error;
  EXPECT_TRUE(silence.asked()) << "it knows the name without asking";
}

}  // namespace
}  // namespace tide::test
