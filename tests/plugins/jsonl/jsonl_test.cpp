// The sink jsonl on real files and pipes.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <sstream>

#include "plugins/plugin_host.hpp"
#include "support/process.hpp"

namespace {
std::atomic<int> syncs = 0;
std::atomic<bool> syncs_fail = false;
}  // namespace

// Takes the C library's place for the plugin: a disk that fails can't be had otherwise.
extern "C" __attribute__((visibility("default"))) int fdatasync(int fd) {
  ++syncs;
  if (syncs_fail) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace tide::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

std::string read(const fs::path& file) {
  const std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<Event> events(int from, int to, bool maybe_sent = false) {
  std::vector<Event> all;
  for (int n = from; n <= to; ++n) {
    auto& event = all.emplace_back();
    event.key = "k" + std::to_string(n);
    event.payload = "{\"n\": " + std::to_string(n) + "}";
    event.maybe_sent = maybe_sent;
  }
  return all;
}

class Jsonl : public ::testing::Test {
 protected:
  void SetUp() override {
    syncs = 0;
    syncs_fail = false;
  }
  [[nodiscard]] Options options(Options more = {}) const {
    more.try_emplace("path", file_.string());
    return more;
  }
  // What stands in the payload-only file, one letter group a line.
  [[nodiscard]] std::string content() const { return read(file_); }

  TempDir dir_;
  fs::path file_ = dir_ / "events.jsonl";
};

void expect_stored(const std::vector<Result>& results, bool duplicate = false) {
  for (const auto& result : results) {
    EXPECT_EQ(result.status, TIDE_STORED) << result.error;
    EXPECT_EQ(result.duplicate, duplicate);
  }
}

TEST_F(Jsonl, AnEnvelopeHoldsAllThatIsKnownOfAnEvent) {
  Instance sink(options());
  Event event;
  event.key = "a\"b\\c\n\u00e9";
  event.payload = "{\"text\": \"x\\n\",\n \"n\": 1}";
  event.headers = {{"trace", "t-1"}, {"quote", "\""}};
  event.op = "update";
  event.outbox_id = 77;
  expect_stored(sink.deliver({event}));
  EXPECT_EQ(
      content(),
      "{\"key\":\"a\\\"b\\\\c\\u000a\u00e9\",\"op\":\"update\",\"outbox\":\"orders\",\"stream_table\":\"orders\","
      "\"id\":77,\"created_at\":\"2025-11-25T10:00:00.123456Z\",\"headers\":{\"trace\":\"t-1\",\"quote\":\"\\\"\"},"
      "\"payload\":{\"text\": \"x\\n\",  \"n\": 1}}\n");
}

TEST_F(Jsonl, ALineMayBeThePayloadAlone) {
  Instance sink(options({{"line", "payload"}}));
  expect_stored(sink.deliver(events(1, 2)));
  EXPECT_EQ(content(), "{\"n\": 1}\n{\"n\": 2}\n");
}

TEST_F(Jsonl, AppendsToWhatIsThere) {
  std::ofstream(file_) << "older\n";
  Instance sink(options({{"line", "payload"}}));
  expect_stored(sink.deliver(events(1, 1)));
  EXPECT_EQ(content(), "older\n{\"n\": 1}\n");
}

// --- after a crash

TEST_F(Jsonl, WritesNothingAgainThatStandsAfterThePosition) {
  std::uint64_t position = 0;
  {
    Instance first(options());
    ASSERT_TRUE(first.standing());
    const auto results = first.deliver(events(1, 4));
    position = results[1].position;
    EXPECT_LT(results[0].position, results[1].position);
  }
  const auto before = content();
  Instance second(options(), seconds(10), position);
  EXPECT_FALSE(second.standing());
  const auto results = second.deliver(events(3, 5, true));
  expect_stored({results[0], results[1]}, true);
  expect_stored({results[2]});
  EXPECT_TRUE(content().starts_with(before));
  EXPECT_EQ(content().find("\"k3\"", before.size()), std::string::npos);
  EXPECT_NE(content().find("\"k5\"", before.size()), std::string::npos);
}

TEST_F(Jsonl, FindsWhatWasWrittenAlsoInFilesThatWerePutAside) {
  const auto rotated = options({{"rotate_bytes", 300L}});
  std::uint64_t position = 0;
  {
    Instance first(rotated);
    position = *first.standing();
    expect_stored(first.deliver(events(1, 8)));
  }
  ASSERT_TRUE(fs::exists(dir_ / "events.jsonl.3"));
  Instance second(rotated, seconds(10), position);
  expect_stored(second.deliver(events(1, 8, true)), true);
}

TEST_F(Jsonl, TwoEventsOfOneKeyAreTwoLines) {
  std::uint64_t position = 0;
  auto twins = events(1, 1);
  twins.push_back(twins[0]);
  {
    Instance first(options());
    position = *first.standing();
    expect_stored(first.deliver({twins[0]}));
  }
  for (auto& twin : twins) twin.maybe_sent = true;
  Instance second(options(), seconds(10), position);
  const auto results = second.deliver(twins);
  EXPECT_TRUE(results[0].duplicate);
  EXPECT_FALSE(results[1].duplicate);
}

// Dead letters that are sent again come first, and stand behind in the file what is still looked for.
TEST_F(Jsonl, ThePositionLeavesNothingBehindThatIsStillInDoubt) {
  std::uint64_t begin = 0;
  {
    Instance first(options());
    begin = *first.standing();
    expect_stored(first.deliver(events(1, 3)));
  }
  Result last;
  {
    Instance second(options(), seconds(10), begin);
    last = second.deliver(events(3, 3, true))[0];
    EXPECT_TRUE(last.duplicate);
  }
  Instance third(options(), seconds(10), last.position);
  expect_stored(third.deliver(events(1, 2, true)), true);
}

TEST_F(Jsonl, ATornLineOfItsOwnIsCutOff) {
  std::uint64_t position = 0;
  {
    Instance first(options());
    position = first.deliver(events(1, 1))[0].position;
  }
  const auto whole = content();
  const std::string torn = "{\"key\":\"k2\",\"op\":\"ins";
  std::ofstream(file_, std::ios::app) << torn;
  { const Instance checked(options()); }
  EXPECT_EQ(content(), whole + torn) << "who only connects leaves the file as it is";
  Instance second(options(), seconds(10), position);
  expect_stored(second.deliver(events(2, 2, true)));
  EXPECT_EQ(std::ranges::count(content(), '\n'), 2) << content();
}

TEST_F(Jsonl, ATornLineThatSomebodyEndedIsNoEvent) {
  auto event = events(2, 2, true);
  event[0].payload = R"({"a": {"b": [1, {}], "c": "}\" }\n"}})";
  std::uint64_t position = 0;
  std::string line;
  {
    Instance first(options());
    position = first.deliver(events(1, 1))[0].position;
    const auto before = content().size();
    expect_stored(first.deliver(event));
    line = content().substr(before);
  }
  const auto kept = content().size() - line.size();
  for (std::size_t cut = 1; cut + 1 < line.size(); ++cut) {
    fs::resize_file(file_, kept + cut);
    std::ofstream(file_, std::ios::app) << '\n';
    Instance second(options({{"fsync", "never"}}), seconds(10), position);
    const auto results = second.deliver(event);
    ASSERT_FALSE(results[0].duplicate) << line.substr(0, cut);
    ASSERT_TRUE(content().ends_with('\n' + line)) << content();
  }
}

TEST_F(Jsonl, ATornLineThatMayBeSomebodyElsesIsEnded) {
  std::ofstream(file_) << "not mine";
  Instance sink(options({{"line", "payload"}}));
  expect_stored(sink.deliver(events(1, 1)));
  EXPECT_EQ(content(), "not mine\n{\"n\": 1}\n");
}

TEST_F(Jsonl, APositionThatTheFileNeverReachedIsReplaced) {
  Instance sink(options(), seconds(10), 99ull << 40);
  ASSERT_TRUE(sink.standing());
  EXPECT_EQ(*sink.standing(), 1ull << 40);
}

// --- sync

TEST_F(Jsonl, IsSyncedBeforeItAcknowledges) {
  Instance sink(options());
  const int before = syncs;
  ASSERT_EQ(sink.publish(events(1, 10)), 10u);
  EXPECT_EQ(sink.ack(milliseconds(0)).size(), 10u);
  EXPECT_EQ(syncs, before + 1);
  sink.ack(milliseconds(0));
  EXPECT_EQ(syncs, before + 1) << "nothing was written since";
}

TEST_F(Jsonl, IsNeverSyncedWhenSoConfigured) {
  Instance sink(options({{"fsync", "never"}}));
  expect_stored(sink.deliver(events(1, 10)));
  EXPECT_EQ(syncs, 0);
}

TEST_F(Jsonl, WhatCannotBeSyncedIsTakenBack) {
  Instance sink(options());
  expect_stored(sink.deliver(events(1, 1)));
  const auto before = content();
  syncs_fail = true;
  sink.publish(events(2, 2));
  EXPECT_TRUE(sink.ack(milliseconds(0)).empty());
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  EXPECT_NE(sink.outcome().error.find("cannot sync '" + file_.string() + "': Input/output error"), std::string::npos);
  EXPECT_EQ(content(), before);
}

// --- rotation

TEST_F(Jsonl, IsPutAsideWhenItIsLargeAndTheOldestAreRemoved) {
  Instance sink(options({{"line", "payload"}, {"rotate_bytes", 20L}, {"keep", 2L}}));
  expect_stored(sink.deliver(events(1, 9)));
  EXPECT_EQ(content(), "{\"n\": 9}\n");
  EXPECT_EQ(read(dir_ / "events.jsonl.4"), "{\"n\": 7}\n{\"n\": 8}\n");
  EXPECT_TRUE(fs::exists(dir_ / "events.jsonl.3"));
  EXPECT_FALSE(fs::exists(dir_ / "events.jsonl.2"));
}

TEST_F(Jsonl, AnEventLargerThanTheLimitHasAFileOfItsOwn) {
  Instance sink(options({{"line", "payload"}, {"rotate_bytes", 5L}}));
  expect_stored(sink.deliver(events(1, 2)));
  EXPECT_EQ(read(dir_ / "events.jsonl.1"), "{\"n\": 1}\n");
  EXPECT_EQ(content(), "{\"n\": 2}\n");
}

TEST_F(Jsonl, IsPutAsideWhenItIsOldAlsoWhileNothingComes) {
  Instance sink(options({{"rotate_seconds", 1L}}));
  expect_stored(sink.deliver(events(1, 1)));
  EXPECT_TRUE(eventually(seconds(10), [&] {
    sink.ack(milliseconds(0));
    return fs::exists(dir_ / "events.jsonl.1");
  }));
  EXPECT_EQ(content(), "");
}

TEST_F(Jsonl, APositionGrowsOverARotation) {
  Instance sink(options({{"rotate_bytes", 200L}}));
  const auto results = sink.deliver(events(1, 5));
  for (std::size_t i = 1; i < results.size(); ++i) EXPECT_LT(results[i - 1].position, results[i].position);
}

TEST_F(Jsonl, AFileThatSomebodyMovedIsBegunAgain) {
  Instance sink(options());
  expect_stored(sink.deliver(events(1, 1)));
  fs::rename(file_, dir_ / "moved");
  EXPECT_TRUE(eventually(seconds(10), [&] {
    sink.ack(milliseconds(0));
    return sink.outcome().status == TIDE_RECONNECT;
  }));
  EXPECT_NE(sink.outcome().error.find("was moved or removed by somebody else"), std::string::npos);
}

// --- what goes wrong

TEST_F(Jsonl, AFullDiskIsWaitedForAndLeavesNoPartOfALine) {
  std::signal(SIGXFSZ, SIG_IGN);
  Instance sink(options({{"line", "payload"}}));
  expect_stored(sink.deliver(events(1, 3)));
  const auto before = content();
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{before.size() + 12, old.rlim_max};  // a line and a part of the next
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto accepted = sink.publish(events(4, 6));
  ::setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(accepted, 0u);
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  EXPECT_NE(sink.outcome().error.find("cannot write to '" + file_.string() + "': File too large. Make room"),
            std::string::npos)
      << sink.outcome().error;
  EXPECT_EQ(content(), before);
}

TEST_F(Jsonl, AMissingFolderIsNotMade) {
  Instance sink(options({{"path", (dir_ / "none/events.jsonl").string()}}));
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_NE(sink.connected().error.find("No such file or directory. Create the folder"), std::string::npos);
}

// In a folder where nobody may make a file, not even root.
TEST_F(Jsonl, WithoutTheRightToWriteItSaysSo) {
  Instance sink(options({{"path", "/sys/kernel/events.jsonl"}}));
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_NE(sink.connected().error.find("Permission denied. Give the relay's user the right"), std::string::npos)
      << sink.connected().error;
}

TEST_F(Jsonl, TakesOnlyARegularFile) {
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  Instance sink(options());
  EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  EXPECT_NE(sink.connected().error.find("is no regular file"), std::string::npos);
}

TEST_F(Jsonl, TakesOnlyAnAbsolutePathAndSaneOptions) {
  for (const auto& wrong : std::vector<Options>{{{"path", "events.jsonl"}},
                                                {{"path", ""}},
                                                {{"path", dir_.path().string() + "/"}},
                                                {{"mode", "0999"}},
                                                {{"mode", "0440"}},
                                                {{"path", "-"}, {"rotate_bytes", 1L}}}) {
    Instance sink(options(wrong));
    EXPECT_EQ(sink.connected().status, TIDE_FATAL);
  }
}

TEST_F(Jsonl, OnePipelineAtATimeHasTheFile) {
  auto first = std::make_unique<Instance>(options());
  Instance second(options());
  EXPECT_EQ(second.connected().status, TIDE_RETRY);
  EXPECT_NE(second.connected().error.find("is in use by another pipeline or relay"), std::string::npos);
  first.reset();
  EXPECT_EQ(Instance(options()).connected().status, TIDE_OK);
}

TEST_F(Jsonl, AFileIsMadeWithItsModeWhateverTheUmaskIs) {
  const auto old = ::umask(0777);
  { Instance sink(options({{"mode", "0664"}})); }
  ::umask(old);
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms(0664));
}

// --- the rules of the interface

TEST_F(Jsonl, PassesTheConformanceKit) {
  std::ofstream(dir_ / "sink.json") << R"({"sink_type": "jsonl", "path": ")" << file_.string() << "\"}";
  const auto result = run({variable("TIDE_RELAY"), "plugins", "test", variable("TIDE_TEST_PLUGIN"), "--sink-config",
                           (dir_ / "sink.json").string()},
                          {}, {}, seconds(300));
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  // The two are `down` and `silent`: a file has no server.
  EXPECT_NE(result.out.find(" passed, 0 failed, 2 skipped"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("50 of them known to be there already"), std::string::npos) << result.out;
}

// --- standard output

// Standard output is a pipe meanwhile.
class JsonlOutput : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);  // as in the relay
    ASSERT_EQ(::pipe2(pipe_, O_CLOEXEC), 0);
    std::fflush(stdout);
    saved_ = ::dup(STDOUT_FILENO);
    ::dup2(pipe_[1], STDOUT_FILENO);
    ::close(pipe_[1]);
  }
  void TearDown() override {
    restore();
    if (pipe_[0] >= 0) ::close(pipe_[0]);
  }
  void restore() {
    if (saved_ < 0) return;
    ::dup2(saved_, STDOUT_FILENO);
    ::close(saved_);
    saved_ = -1;
  }
  std::string take(std::size_t most) const {
    std::string text(most, '\0');
    const auto got = ::read(pipe_[0], text.data(), most);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  int pipe_[2] = {-1, -1};
  int saved_ = -1;
};

TEST_F(JsonlOutput, TakesTheLines) {
  Instance sink(Options{{"path", "-"}, {"line", "payload"}});
  const auto results = sink.deliver(events(1, 2));
  restore();
  expect_stored(results);
  EXPECT_EQ(take(100), "{\"n\": 1}\n{\"n\": 2}\n");
}

TEST_F(JsonlOutput, ThatNobodyReadsHoldsUpNothingButItself) {
  Instance sink(Options{{"path", "-"}, {"line", "payload"}});
  auto many = events(1, 400);
  for (auto& event : many) event.payload = "\"" + std::string(10'000, 'x') + "\"";
  const auto accepted = sink.publish(many);
  std::size_t stored = sink.ack(milliseconds(10)).size();
  const auto at_first = stored;
  std::string all;
  while (stored < accepted) {
    all += take(100'000);
    stored += sink.ack(milliseconds(0)).size();
  }
  restore();
  EXPECT_GT(accepted, 50u);
  EXPECT_LT(accepted, 400u) << "it takes no more than it can hold";
  EXPECT_LT(at_first, 10u);
}

TEST_F(JsonlOutput, BelongsToOnePipeline) {
  Instance first(Options{{"path", "-"}});
  const Instance second(Options{{"path", "-"}});
  restore();
  EXPECT_EQ(second.connected().status, TIDE_FATAL);
  EXPECT_NE(second.connected().error.find("another pipeline of this relay writes to standard output"),
            std::string::npos);
}

TEST_F(JsonlOutput, WhoseReaderIsGoneIsAnOutage) {
  Instance sink(Options{{"path", "-"}});
  ::close(pipe_[0]);
  pipe_[0] = -1;
  sink.publish(events(1, 1));
  restore();
  EXPECT_EQ(sink.outcome().status, TIDE_RETRY);
  EXPECT_NE(sink.outcome().error.find("cannot write to standard output: Broken pipe"), std::string::npos);
}

TEST_F(JsonlOutput, TwoLinesAreNeverGluedWhenAnInstanceEndsWithinOne) {
  auto large = events(1, 1);
  large[0].payload = "\"" + std::string(200'000, 'x') + "\"";
  {
    Instance sink(Options{{"path", "-"}, {"line", "payload"}});
    sink.publish(large);
    sink.close(milliseconds(0));
  }
  std::string all = take(300'000);
  Instance sink(Options{{"path", "-"}, {"line", "payload"}});
  const auto results = sink.deliver(events(2, 2));
  restore();
  expect_stored(results);
  all += take(100);
  EXPECT_EQ(all.find('\n'), all.size() - 10) << all.size();
  EXPECT_TRUE(all.ends_with("x\n{\"n\": 2}\n"));
}

TEST_F(JsonlOutput, WithAReaderThatIsSlowTakesNoMoreMemory) {
  Instance sink(Options{{"path", "-"}, {"line", "payload"}});
  auto many = events(1, 100);
  for (auto& event : many) event.payload = "\"" + std::string(10'000, 'x') + "\"";
  const auto resident = [] {
    std::ifstream statm("/proc/self/statm");
    std::size_t total = 0;
    std::size_t pages = 0;
    statm >> total >> pages;
    return pages * 4096;
  };
  std::size_t begin = 0;
  std::size_t read = 0;
  for (int round = 0; read < 150'000'000; ++round) {
    if (read > 5'000'000 && begin == 0) begin = resident();
    sink.publish(many);
    read += take(100'000).size();
    sink.ack(milliseconds(0));
  }
  const auto grown = resident() - begin;
  restore();
  EXPECT_LT(static_cast<std::ptrdiff_t>(grown), 60'000'000);
}

}  // namespace
}  // namespace tide::test
