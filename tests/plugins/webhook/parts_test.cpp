// The parts of the sink webhook that need no server.
#include <gtest/gtest.h>

#include "tide/sink.hpp"
#include "webhook/answer.hpp"
#include "webhook/signature.hpp"
#include "webhook/url_shape.hpp"

namespace tide::webhook {
namespace {

using std::chrono::seconds;
using std::chrono::system_clock;

// The example of the specification's reference libraries.
TEST(Signature, IsThatOfStandardWebhooks) {
  const auto secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret");
  EXPECT_EQ(signature({secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(Signature, OfTwoSecretsAreTwo) {
  const auto secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret");
  const std::string one = signature({secret}, "id", "1", "{}");
  EXPECT_EQ(signature({secret, secret}, "id", "1", "{}"), one + " " + one);
}

TEST(Signature, ABrokenSecretIsRefusedAndNotShown) {
  for (const auto* wrong : {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_MfKQ9r8*KYqrTwjUPD8ILPZIo2LaLaSw",
                            "whsec_MfKQ9r8G", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"}) {
    try {
      secret_bytes(wrong, "previous_secret");
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_EQ(error.status(), TIDE_FATAL);
      EXPECT_TRUE(text.starts_with("previous_secret "));
      EXPECT_EQ(text.find("MfKQ9r8"), std::string::npos) << text;
    }
  }
}

TEST(Signature, TheIdOfABatchIsThatOfItsKeysInTheirOrder) {
  EXPECT_EQ(id_of({"a", "b"}), id_of({"a", "b"}));
  EXPECT_NE(id_of({"a", "b"}), id_of({"b", "a"}));
  EXPECT_NE(id_of({"a", "b"}), id_of({"ab"}));
}

TEST(Answer, SaysWhatBecomesOfAnEvent) {
  for (const long stored : {200, 201, 202, 204, 299}) EXPECT_EQ(outcome_of(stored, true), TIDE_STORED) << stored;
  for (const long retry : {408, 425, 429, 500, 501, 502, 503, 504, 599, 102})
    EXPECT_EQ(outcome_of(retry, true), TIDE_RETRY) << retry;
  for (const long rejected : {400, 402, 406, 409, 411, 413, 414, 415, 422, 431, 451})
    EXPECT_EQ(outcome_of(rejected, true), TIDE_REJECTED) << rejected;
  for (const long fatal : {301, 302, 303, 304, 307, 308, 401, 403, 404, 405, 407, 410})
    EXPECT_EQ(outcome_of(fatal, true), TIDE_FATAL) << fatal;
  EXPECT_EQ(outcome_of(404, false), TIDE_REJECTED) << "the event chose that URL";
}

TEST(Answer, RetryAfterIsSecondsOrADate) {
  const auto now = system_clock::from_time_t(1'445'412'480);  // Wed, 21 Oct 2015 07:28:00 GMT
  EXPECT_EQ(retry_after("17", now), seconds(17));
  EXPECT_EQ(retry_after(" 0 \r\n", now), seconds(0));
  EXPECT_EQ(retry_after("Wed, 21 Oct 2015 07:28:30 GMT", now), seconds(30));
  EXPECT_EQ(retry_after("Wed, 21 Oct 2015 07:27:00 GMT", now), seconds(0));
  EXPECT_EQ(retry_after("99999999", now), seconds(3600)) << "nobody stops a pipeline for a year";
  EXPECT_EQ(retry_after("-1", now), std::nullopt);
  EXPECT_EQ(retry_after("soon", now), std::nullopt);
}

TEST(UrlShape, ValuesMayOnlyFillTheirPlaces) {
  const UrlShape shape("https://shop.example/v1/\x1a/in?kind=\x1a");
  EXPECT_TRUE(shape.takes("https://shop.example/v1/eu/in?kind=x"));
  for (const auto* other : {"https://shop.example/v1/a/b/in?kind=x", "https://shop.example/v1/a?x/in?kind=x",
                            "https://shop.example/v1/a/in?kind=x&y=z", "https://shop.example/v1/%2e/in?kind=x",
                            "https://shop.example/v1/a#/in?kind=x", "https://evil.example/v1/a/in?kind=x",
                            "https://shop.example/v1/a/in?kind=x=", "https://shop.example/v1/a\\/in?kind=x",
                            "https://shop.example/v1/a@/in?kind=x"})
    EXPECT_FALSE(shape.takes(other)) << other;
}

TEST(UrlShape, NoEventChoosesTheHost) {
  for (const auto* wrong : {"https://\x1a.example/", "https://shop.example:\x1a/", "https://\x1a", "https://u\x1a@h/"})
    EXPECT_THROW(UrlShape{wrong}, Error) << wrong;
}

TEST(UrlShape, RefusesWhatIsNoUrlOfHttp) {
  for (const auto* wrong : {"", "ftp://h/", "file:///etc/passwd", "h/", "https://", "https://h/#x", "http://h:99999/"})
    EXPECT_THROW(UrlShape{wrong}, Error) << wrong;
}

TEST(UrlShape, KnowsItsOrigin) {
  EXPECT_EQ(UrlShape("https://u:p@shop.example:8443/a?b").origin(), "https://shop.example:8443");
  EXPECT_EQ(UrlShape("http://[::1]/a").origin(), "http://[::1]");
  EXPECT_FALSE(UrlShape("http://h/a").varies());
  EXPECT_TRUE(UrlShape("http://h/\x1c").varies());
}

TEST(Url, IsShownWithoutItsSecrets) {
  EXPECT_EQ(shown("https://user:pass@h:1/a/b?token=x#y"), "https://h:1/a/b");
  EXPECT_EQ(shown("https://h/a@b"), "https://h/a@b");
}

TEST(Url, IsEncodedWhereItMustBe) {
  EXPECT_EQ(encoded("https://h/a b/\u00e4?x=\"&y=%20"), "https://h/a%20b/%C3%A4?x=%22&y=%20");
}

}  // namespace
}  // namespace tide::webhook
