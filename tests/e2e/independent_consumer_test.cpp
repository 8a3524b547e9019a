// What the relay delivered, read by a client that shares no code with it: NATS's own for JavaScript.
#include <sstream>

#include "e2e/relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

class IndependentConsumer : public Servers {
 protected:
  static std::vector<std::string> consumer(const std::string& stream, int count) {
    const std::filesystem::path js = variable("TIDE_TEST_JS");
    if (!std::filesystem::exists(js / "node_modules"))
      throw std::runtime_error("the npm packages of this test are missing: run tests/run, or `npm ci` in " +
                               js.string());
    return {"node", (js / "consumer.js").string(), nats_->url(), stream, "shop", std::to_string(count)};
  }

  // Events of every kind that an application may write. Each key and each header's value is of its own.
  void publish_orders(int from, int to) const {
    sql(R"(SELECT count(tide.outbox_publish('orders',
      CASE n % 5 WHEN 0 THEN '{}'
                 WHEN 1 THEN jsonb_build_object('n', n, 'text', E'tab\t, "quotes", \\, a line\nbreak')
                 WHEN 2 THEN jsonb_build_object('n', n, 'city', 'Łódź 東京 🚢', 'price', 12.50)
                 WHEN 3 THEN jsonb_build_object('n', n, 'long', repeat('x', 100000))
                 ELSE jsonb_build_object('n', n, 'nested', jsonb_build_object('list', jsonb_build_array(1, null, true)))
      END,
      'order ' || n || '/é',
      (ARRAY['insert', 'update', 'delete'])[1 + n % 3],
      CASE n % 4 WHEN 0 THEN NULL
                 WHEN 1 THEN jsonb_build_object('trace-id', md5(n::text))
                 WHEN 2 THEN jsonb_build_object('Customer', 'Zoë ' || n, 'attempt', n)
                 ELSE jsonb_build_object('empty', '', 'path', 'a: b=c; d')
      END)) FROM generate_series()" +
        std::to_string(from) + ", " + std::to_string(to) + ") n");
  }

  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> found;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) found.push_back(line);
    return found;
  }

  // What consumer.js should print of all that was published, by PostgreSQL's own account.
  [[nodiscard]] std::string expected() const {
    return sql(R"(SELECT concat_ws(E'\t', row_number() OVER (ORDER BY m.id), ')" + stream_ + R"(.' || m.op,
      (SELECT '{' || string_agg(to_json(name) || ':[' || to_json(value) || ']', ',' ORDER BY name COLLATE "C") || '}'
         FROM (SELECT key, value FROM jsonb_each_text(m.headers)
               UNION ALL SELECT 'Nats-Msg-Id', m.dedup_key) AS header (name, value)),
      m.payload)
      FROM tide.outbox_messages m ORDER BY m.id)");
  }
};

TEST_F(IndependentConsumer, ReadsIdsOrderHeadersAndPayloadsRight) {
  set_up_pipeline();
  publish_orders(1, 300);
  const auto running = start_relay();
  Process first(consumer(stream_, 300));
  ASSERT_EQ(first.wait(seconds(60)), 0) << first.err();
  // The durable goes on where it was, with what is committed while it waits.
  Process second(consumer(stream_, 200));
  publish_orders(301, 500);
  ASSERT_EQ(second.wait(seconds(60)), 0) << second.err();

  const auto read = lines(first.out() + second.out());
  const auto committed = lines(expected());
  ASSERT_EQ(read.size(), committed.size());
  for (std::size_t i = 0; i < read.size(); ++i) ASSERT_EQ(read[i], committed[i]) << "event " << i + 1;
}

}  // namespace
}  // namespace tide::test
